//! Passwords on the command line: read without echo, or from a pipe; never an argument, which others can see.

use std::io::{BufRead, IsTerminal};

use crate::base::{Rng, limits};
use crate::io::{hasher, setup};

use super::args::Call;
use super::report::{Exit, Trouble};

/// Letters and digits of a password that we make: 107 bits.
const GENERATED_LETTERS: usize = 18;

/// The password for `whom`, as the options say: from standard input, or asked for twice.
pub fn read(call: &Call, whom: &str) -> Result<String, Trouble> {
    let secret = if call.has("password-stdin") {
        first_line()?
    } else if std::io::stdin().is_terminal() {
        ask_twice(whom)?
    } else {
        let sentence = "there is no terminal to ask for the password: pipe it in with --password-stdin";
        return Err(Trouble::new(Exit::Usage, sentence));
    };
    if secret.is_empty() {
        return Err(Trouble::new(Exit::Usage, "an empty password is no password"));
    }
    if secret.len() > limits::PASSWORD_BYTES_MAX {
        let sentence = format!("a password has at most {} bytes", limits::PASSWORD_BYTES_MAX);
        return Err(Trouble::new(Exit::Usage, sentence));
    }
    Ok(secret)
}

fn first_line() -> Result<String, Trouble> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Trouble::new(Exit::Usage, format!("the password cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask_twice(whom: &str) -> Result<String, Trouble> {
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map_err(|error| Trouble::new(Exit::Usage, format!("the password cannot be read: {error}")))
    };
    let first = ask(format!("New password for {whom}: "))?;
    if first != ask("The same again: ".into())? {
        return Err(Trouble::new(Exit::Usage, "the two were not the same; nothing was changed"));
    }
    Ok(first)
}

/// A random password that every client can take: letters and digits only.
pub fn generate() -> Result<String, Trouble> {
    Ok(Rng::new(&setup::random_seed()?).letters_and_digits(GENERATED_LETTERS))
}

/// As it will lie in the file.
pub fn hash(secret: &str) -> Result<String, Trouble> {
    let mut rng = Rng::new(&setup::random_seed()?);
    hasher::hash(secret.as_bytes(), &mut rng)
        .ok_or_else(|| Trouble::new(Exit::Failed, "there is not enough memory to hash the password"))
}
