//! Passwords: argon2id at OWASP's parameters, on one or two threads. Each hash takes 19 MiB and gives them back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::BASE64_NOPAD;

use crate::base::{Ticket, limits};

use super::inbox::{Inbox, Note, spawn};

const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// One password check: which of `hashes` does `secret` match?
struct Check {
    ticket: Ticket,
    secret: Vec<u8>,
    hashes: Vec<String>,
}

/// The handle the loop keeps. The engine bounds how many checks wait (`limits::HASH_QUEUE_MAX`).
pub struct Hashers {
    checks: Option<Sender<Check>>,
    threads: Vec<JoinHandle<()>>,
}

impl Hashers {
    pub fn start(inbox: &Inbox) -> std::io::Result<Hashers> {
        let (checks, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut threads = Vec::new();
        for _ in 0..cores.min(limits::HASH_THREADS_MAX) {
            let (waiting, answers) = (Arc::clone(&waiting), inbox.clone());
            threads.push(spawn("hasher", inbox, move || work(&waiting, &answers))?);
        }
        Ok(Hashers { checks: Some(checks), threads })
    }

    pub fn check(&self, ticket: Ticket, secret: Vec<u8>, hashes: Vec<String>) {
        if let Some(checks) = &self.checks {
            // The threads only end when this sender is dropped.
            let _ = checks.send(Check { ticket, secret, hashes });
        }
    }

    pub fn stop(&mut self) {
        self.checks = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(waiting: &Mutex<Receiver<Check>>, inbox: &Inbox) {
    super::setup::step_back();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(check) = next else { return };
        let matched = catch_unwind(AssertUnwindSafe(|| first_match(&check.secret, &check.hashes)));
        inbox.put(Note::Hashed(check.ticket, matched.unwrap_or(None)));
    }
}

/// Index of the first hash that `secret` matches. An empty list costs one hash all the same, so that the time taken
/// does not tell whether a user exists.
pub fn first_match(secret: &[u8], hashes: &[String]) -> Option<usize> {
    if hashes.is_empty() {
        let _ = derive(secret, &[0; SALT_BYTES], &params()?);
    }
    hashes.iter().position(|phc| matches(secret, phc))
}

/// A new PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. `None` only if memory for it is not to be had.
pub fn hash(secret: &[u8], rng: &mut crate::base::Rng) -> Option<String> {
    let mut salt = [0; SALT_BYTES];
    rng.fill(&mut salt);
    let out = derive(secret, &salt, &params()?)?;
    let (m, t, p) = (limits::ARGON2_MEMORY_KIB, limits::ARGON2_PASSES, limits::ARGON2_LANES);
    let (salt, out) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&out));
    Some(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${out}"))
}

fn params() -> Option<Params> {
    let (m, t, p) = (limits::ARGON2_MEMORY_KIB, limits::ARGON2_PASSES, limits::ARGON2_LANES);
    Params::new(m, t, p, Some(HASH_BYTES)).ok()
}

fn derive(secret: &[u8], salt: &[u8], params: &Params) -> Option<Vec<u8>> {
    let mut out = vec![0; params.output_len().unwrap_or(HASH_BYTES)];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon.hash_password_into(secret, salt, &mut out).ok()?;
    Some(out)
}

/// Compares in constant time. A string that is no PHC string of argon2id matches nothing.
fn matches(secret: &[u8], phc: &str) -> bool {
    let Some((params, salt, wanted)) = parse(phc) else { return false };
    let Some(got) = derive(secret, &salt, &params) else { return false };
    got.len() == wanted.len() && got.iter().zip(&wanted).fold(0, |odd, (a, b)| odd | (a ^ b)) == 0
}

/// PHC string format: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, base64 without padding.
fn parse(phc: &str) -> Option<(Params, Vec<u8>, Vec<u8>)> {
    let mut fields = phc.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (fields.next()?, fields.next()?, fields.next()?);
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let (m, t, p) = (cost("m=")?, cost("t=")?, cost("p=")?);
    let (salt, hash) =
        (BASE64_NOPAD.decode(salt.as_bytes()).ok()?, BASE64_NOPAD.decode(hash.as_bytes()).ok()?);
    let params = Params::new(m, t, p, Some(hash.len())).ok()?;
    Some((params, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn a_hash_matches_its_own_password_and_no_other() {
        let phc = hash(b"secret", &mut Rng::new(&[7; 32])).expect("memory");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let other = hash(b"other", &mut Rng::new(&[8; 32])).expect("memory");
        assert_eq!(first_match(b"secret", &[other.clone(), phc.clone()]), Some(1));
        assert_eq!(first_match(b"Secret", &[other, phc]), None);
        assert_eq!(first_match(b"secret", &[]), None);
    }

    /// From the reference implementation's own test vectors (`argon2 somesalt -id -t 2 -m 16 -p 1`).
    #[test]
    fn strings_of_the_reference_implementation_are_understood() {
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(first_match(b"password", &[phc.into()]), Some(0));
        for broken in
            ["", "$argon2id$", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=19$m=,t=,p=$$"]
        {
            assert_eq!(first_match(b"password", &[broken.into()]), None, "{broken}");
        }
    }
}
