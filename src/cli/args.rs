//! The command line: words, options and their values, by the table in `commands`, from which help is printed too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use lexopt::Arg as Lexed;

use super::commands::COMMANDS;
use super::json::Json;
use super::report::{EXITS, Exit, Report, Trouble};

/// One command.
pub struct Command {
    /// `account app add`.
    pub words: &'static str,
    pub args: &'static [Arg],
    pub options: &'static [Opt],
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Whole sentences for its own help; may be empty.
    pub more: &'static str,
    pub run: fn(&Call) -> Result<Report, Trouble>,
}

/// A word that a command takes besides its options.
pub struct Arg {
    pub name: &'static str,
    pub meaning: &'static str,
    pub needed: Needed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    Always,
    Perhaps,
}

/// `--name` or `--name VALUE`.
pub struct Opt {
    pub name: &'static str,
    pub value: Option<&'static str>,
    pub meaning: &'static str,
}

/// What every command takes.
pub const COMMON: &[Opt] = &[
    Opt {
        name: "db",
        value: Some("FILE"),
        meaning: "the pillarbox file (else $PILLARBOX_DB, else ./pillarbox.db if it is there, else \
                  /var/lib/pillarbox/pillarbox.db)",
    },
    Opt { name: "json", value: None, meaning: "answer in JSON" },
    Opt { name: "help", value: None, meaning: "show this help" },
];

/// One command with what it was given.
pub struct Call {
    pub command: &'static Command,
    args: Vec<String>,
    options: BTreeMap<&'static str, OsString>,
    help: Option<String>,
}

impl Call {
    pub fn run(&self) -> Result<Report, Trouble> {
        match &self.help {
            Some(text) => Ok(Report::new(text.clone(), Json::object([("help", Json::text(text))]))),
            None => (self.command.run)(self),
        }
    }

    /// A word that the table says is always there.
    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    pub fn maybe_arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(String::as_str)
    }

    pub fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option).and_then(|value| value.to_str())
    }

    /// The file this command works on, and that it was named rather than found.
    pub fn db(&self) -> PathBuf {
        if let Some(path) = self.options.get("db") {
            return path.into();
        }
        if let Some(path) = std::env::var_os("PILLARBOX_DB").filter(|path| !path.is_empty()) {
            return path.into();
        }
        let here = PathBuf::from("pillarbox.db");
        if here.exists() { here } else { "/var/lib/pillarbox/pillarbox.db".into() }
    }

    /// Whether `--db` or the environment says which file.
    pub fn names_db(&self) -> bool {
        self.has("db") || std::env::var_os("PILLARBOX_DB").is_some_and(|path| !path.is_empty())
    }
}

pub fn parse(given: Vec<OsString>) -> Result<Call, Trouble> {
    let mut words: Vec<String> = Vec::new();
    let mut options: Vec<(String, Option<OsString>)> = Vec::new();
    let mut parser = lexopt::Parser::from_args(given);
    let usage = |error: lexopt::Error| Trouble::new(Exit::Usage, error.to_string());
    while let Some(lexed) = parser.next().map_err(usage)? {
        match lexed {
            Lexed::Value(word) => words.push(word.to_string_lossy().into_owned()),
            Lexed::Short('h') => options.push(("help".into(), None)),
            Lexed::Short('V') => options.push(("version".into(), None)),
            Lexed::Short(letter) => return Err(unknown(&format!("-{letter}"))),
            Lexed::Long(name) => {
                let name = name.to_owned();
                let value = takes_value(&name).then(|| parser.value()).transpose().map_err(usage)?;
                options.push((name, value));
            }
        }
    }
    call(words, options)
}

/// Whether any command has an option of this name with a value; a name means the same everywhere.
fn takes_value(name: &str) -> bool {
    let all = COMMANDS.iter().flat_map(|command| command.options).chain(COMMON);
    all.into_iter().any(|option| option.name == name && option.value.is_some())
}

fn unknown(option: &str) -> Trouble {
    Trouble::new(Exit::Usage, format!("there is no option {option} here; see `pillarbox --help`"))
}

fn call(words: Vec<String>, given: Vec<(String, Option<OsString>)>) -> Result<Call, Trouble> {
    let named = |name: &str| given.iter().any(|(known, _)| known == name);
    let found = COMMANDS.iter().filter(|command| starts_with(&words, command)).max_by_key(|c| depth(c));
    let help = match found {
        _ if named("version") => Some(format!("pillarbox {}", env!("CARGO_PKG_VERSION"))),
        None if words.is_empty() || named("help") => Some(overview(&words)),
        None => return Err(not_a_command(&words)),
        Some(command) if named("help") => Some(help_of(command)),
        Some(_) => None,
    };
    let command = found.unwrap_or(&COMMANDS[0]);
    let args = words.get(depth(command)..).unwrap_or_default().to_vec();
    if help.is_none() {
        check_args(command, &args)?;
    }
    let mut options = BTreeMap::new();
    for (name, value) in given {
        let known = command.options.iter().chain(COMMON).find(|option| option.name == name);
        match known {
            Some(option) => drop(options.insert(option.name, value.unwrap_or_default())),
            None if help.is_some() => {}
            None => return Err(unknown(&format!("--{name}"))),
        }
    }
    Ok(Call { command, args, options, help })
}

fn depth(command: &Command) -> usize {
    command.words.split(' ').count()
}

fn starts_with(words: &[String], command: &Command) -> bool {
    words.len() >= depth(command) && command.words.split(' ').zip(words).all(|(want, word)| want == word)
}

fn not_a_command(words: &[String]) -> Trouble {
    let first = words.first().map_or("", String::as_str);
    let under: Vec<&str> =
        COMMANDS.iter().map(|c| c.words).filter(|known| known.split(' ').next() == Some(first)).collect();
    let sentence = if under.is_empty() {
        format!("there is no command `{first}`; `pillarbox --help` shows all")
    } else {
        format!("`{}` is not a whole command; there are: {}", words.join(" "), under.join(", "))
    };
    Trouble::new(Exit::Usage, sentence)
}

fn check_args(command: &Command, args: &[String]) -> Result<(), Trouble> {
    let missing = command.args.get(args.len()).filter(|arg| arg.needed == Needed::Always);
    if let Some(arg) = missing {
        let sentence = format!("{} is missing: {}", arg.name, usage_line(command));
        return Err(Trouble::new(Exit::Usage, sentence));
    }
    match args.get(command.args.len()) {
        Some(extra) => {
            let sentence = format!("`{extra}` is one word too many: {}", usage_line(command));
            Err(Trouble::new(Exit::Usage, sentence))
        }
        None => Ok(()),
    }
}

fn usage_line(command: &Command) -> String {
    let mut line = format!("pillarbox {}", command.words);
    for arg in command.args {
        let _ = match arg.needed {
            Needed::Always => write!(line, " {}", arg.name),
            Needed::Perhaps => write!(line, " [{}]", arg.name),
        };
    }
    line
}

fn help_of(command: &Command) -> String {
    let mut text = format!("{}: {}\n", usage_line(command), command.summary);
    if !command.more.is_empty() {
        let _ = write!(text, "\n{}\n", command.more);
    }
    let args = command.args.iter().map(|arg| (arg.name.to_owned(), arg.meaning));
    let options = command.options.iter().chain(COMMON).map(|option| (shown(option), option.meaning));
    let rows: Vec<(String, &str)> = args.chain(options).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    text.push('\n');
    for (name, meaning) in rows {
        let _ = writeln!(text, "  {name:width$}  {meaning}");
    }
    text
}

fn shown(option: &Opt) -> String {
    match option.value {
        Some(value) => format!("--{} {value}", option.name),
        None => format!("--{}", option.name),
    }
}

/// All commands, or those that begin with `words`.
fn overview(words: &[String]) -> String {
    let mut text = String::new();
    if words.is_empty() {
        text.push_str("pillarbox: a personal mail server. One program, one file.\n\n");
    }
    let width = COMMANDS.iter().map(|command| usage_line(command).len()).max().unwrap_or(0);
    for command in COMMANDS {
        if command.words.split(' ').zip(words).all(|(known, word)| known == word) {
            let _ = writeln!(text, "  {:width$}  {}", usage_line(command), command.summary);
        }
    }
    text.push_str("\nEvery command takes:\n");
    for option in COMMON {
        let _ = writeln!(text, "  {:11}  {}", shown(option), option.meaning);
    }
    text.push_str("\nExit codes:\n");
    for (code, meaning) in EXITS {
        let _ = writeln!(text, "  {code}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Call, Trouble> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_longest_command_wins_and_options_may_stand_anywhere() {
        let call = parsed("account --db x app add a@b.test phone --scope=read-only --json").expect("right");
        assert_eq!(call.command.words, "account app add");
        assert_eq!((call.arg(0), call.arg(1), call.value("scope")), ("a@b.test", "phone", Some("read-only")));
        assert_eq!(call.db(), PathBuf::from("x"));
        assert!(call.has("json") && call.names_db());
    }

    #[test]
    fn a_wrong_line_is_told_what_is_wrong() {
        for (line, part) in [
            ("frobnicate", "no command"),
            ("account", "not a whole command"),
            ("account add", "ADDRESS is missing"),
            ("domain list extra", "one word too many"),
            ("domain list --scope all", "no option --scope"),
            ("domain list --db", "missing argument"),
            ("domain list -x", "no option -x"),
        ] {
            let trouble = parsed(line).err().expect(line);
            assert_eq!(trouble.exit, Exit::Usage, "{line}");
            assert!(trouble.sentence.contains(part), "{line}: {}", trouble.sentence);
        }
    }

    #[test]
    fn every_command_has_help() {
        for command in COMMANDS {
            let report = parsed(&format!("{} --help", command.words)).and_then(|call| call.run());
            let text = report.expect(command.words).text;
            assert!(text.contains(command.summary) && text.contains("--db FILE"), "{text}");
        }
        assert!(parsed("--help").and_then(|call| call.run()).expect("help").text.contains("quickstart"));
        assert!(parsed("").and_then(|call| call.run()).expect("help").text.contains("Exit codes"));
    }
}
