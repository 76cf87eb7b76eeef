//! Password checks. Who may try, and when, is decided here; the hash itself is computed elsewhere (`Effect::Hash`).
//!
//! 1. The login is looked up, and of its credentials those whose scope allows the service are candidates.
//! 2. A cached proof (a keyed hash of the last good password of a credential, in memory only) grants at once.
//! 3. Otherwise the attempt waits as the throttle says, and then for one of a bounded number of hashes, of which one
//!    network may have a few at a time. The same attempt made by several connections at once is hashed once. An unknown
//!    login is hashed for nothing, with as many hashes as some account has credentials, and so costs the same.
//! 4. The candidate that matched is read again: a password that was changed meanwhile grants nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ring::hmac;

use crate::base::limits::{
    ATTEMPTS_MAX, HASH_HOLD, HASH_QUEUE_MAX, HASHES_PER_NET_MAX, LOGIN_GOOD_FOR, PASSWORD_BYTES_MAX,
    USED_INTERVAL,
};
use crate::base::{CredentialId, Mono, Now, Rng, Ticket};
use crate::session::throttle::{Net, Target, Throttle};
use crate::session::{Answer, Login, PasswordCheck, Service, Verdict};
use crate::store::{Account, Credential, Scope, Write};

use super::answers::Author;
use super::deadlines::Due;
use super::{Effect, Engine};

/// What names one attempt: the same login and secret for the same service from the same network.
type Digest = [u8; 32];

/// One hash, on its way or held back, and who waits for it.
struct Attempt {
    check: PasswordCheck,
    account: Option<Account>,
    target: Target,
    candidates: Vec<Credential>,
    askers: Vec<Ticket>,
    digest: Digest,
    /// That network has lately logged in to that account.
    trusted: bool,
    /// It is being hashed, and no longer held back.
    hashing: bool,
}

pub(super) struct Passwords {
    key: hmac::Key,
    /// The last good password of each credential, as a keyed hash with the PHC string that it matched.
    proofs: BTreeMap<CredentialId, hmac::Tag>,
    throttle: Throttle,
    attempts: BTreeMap<Ticket, Attempt>,
    by_digest: BTreeMap<Digest, Ticket>,
    /// Hashes under way, by network.
    hashing: BTreeMap<Net, usize>,
    /// Hashes that came back and are looked at in the next turn.
    hashed: Vec<(Ticket, Option<usize>)>,
    used: BTreeMap<CredentialId, Mono>,
}

impl Passwords {
    pub fn new(rng: &mut Rng) -> Passwords {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Passwords {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            proofs: BTreeMap::new(),
            throttle: Throttle::default(),
            attempts: BTreeMap::new(),
            by_digest: BTreeMap::new(),
            hashing: BTreeMap::new(),
            hashed: Vec::new(),
            used: BTreeMap::new(),
        }
    }

    /// Attempts that are held back or being hashed.
    pub fn waiting(&self) -> usize {
        self.attempts.len()
    }

    pub fn hashed(&mut self, ticket: Ticket, matched: Option<usize>) {
        self.hashed.push((ticket, matched));
    }

    pub fn has_news(&self) -> bool {
        !self.hashed.is_empty()
    }

    /// These credentials no longer hold.
    pub fn forget(&mut self, credentials: &[CredentialId]) {
        for credential in credentials {
            self.proofs.remove(credential);
            self.used.remove(credential);
        }
    }

    fn proven(&self, candidate: &Credential, secret: &[u8]) -> bool {
        self.proofs.get(&candidate.id).is_some_and(|proof| {
            hmac::verify(&self.key, &proof_text(candidate, secret), proof.as_ref()).is_ok()
        })
    }

    fn keep_proof(&mut self, credential: &Credential, secret: &[u8]) {
        let proof = hmac::sign(&self.key, &proof_text(credential, secret));
        self.proofs.insert(credential.id, proof);
    }

    fn digest(&self, check: &PasswordCheck) -> Digest {
        let text = format!("{:?} {:?} {}\0", check.service, Net::of(check.from), check.login);
        let mut context = hmac::Context::with_key(&self.key);
        context.update(text.as_bytes());
        context.update(&check.secret);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn target(&self, account: Option<&Account>, login: &str) -> Target {
        account.map_or_else(|| Target::Nobody(self.number(login)), |account| Target::Account(account.id))
    }

    /// A number for a login that does not exist, the same in any case.
    fn number(&self, login: &str) -> u64 {
        let tag = hmac::sign(&self.key, login.to_lowercase().as_bytes());
        tag.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Room for one more hash. The last quarter is for those who lately logged in well.
    fn has_room(&self, trusted: bool) -> bool {
        let most = if trusted { HASH_QUEUE_MAX } else { HASH_QUEUE_MAX - HASH_QUEUE_MAX / 4 };
        self.hashing.values().sum::<usize>() < most
    }

    /// Takes an attempt from the books.
    fn take(&mut self, ticket: Ticket) -> Option<Attempt> {
        let attempt = self.attempts.remove(&ticket)?;
        self.by_digest.remove(&attempt.digest);
        let net = Net::of(attempt.check.from);
        if attempt.hashing
            && let Some(count) = self.hashing.get_mut(&net)
        {
            *count -= 1;
            if *count == 0 {
                self.hashing.remove(&net);
            }
        }
        Some(attempt)
    }
}

impl Engine {
    pub(super) fn check_password(&mut self, now: Now, ticket: Ticket, check: PasswordCheck) {
        let found = self.candidates(&check);
        let (account, candidates) = match found {
            Ok(found) => found,
            Err(error) => {
                log::error!("a login cannot be looked up: {error}");
                return self.answer(ticket, Answer::Password(Verdict::Busy));
            }
        };
        if let Some(account) = &account
            && let Some(known) =
                candidates.iter().find(|one| self.passwords.proven(one, &check.secret)).cloned()
        {
            let verdict = self.grant(now, account, &known, check.from);
            return self.answer(ticket, Answer::Password(verdict));
        }
        let digest = self.passwords.digest(&check);
        if let Some(attempt) = self.passwords.by_digest.get(&digest)
            && let Some(attempt) = self.passwords.attempts.get_mut(attempt)
        {
            attempt.askers.push(ticket);
            return;
        }
        let target = self.passwords.target(account.as_ref(), &check.login);
        let trusted = self.passwords.throttle.trusts(now.mono, Net::of(check.from), target);
        let delay = self.passwords.throttle.delay(now.mono, check.from, target);
        self.drop_abandoned();
        let askers = vec![ticket];
        let attempt = Attempt { check, account, target, candidates, askers, digest, trusted, hashing: false };
        self.passwords.by_digest.insert(digest, ticket);
        self.passwords.attempts.insert(ticket, attempt);
        if delay.is_zero() {
            self.hash_held(now, ticket);
        } else {
            self.deadlines.add(now.mono.after(delay), Due::Password(ticket));
        }
    }

    /// When there are very many attempts: those held back for nobody go. What is left has a connection each.
    fn drop_abandoned(&mut self) {
        if self.passwords.attempts.len() < ATTEMPTS_MAX {
            return;
        }
        let waited_for =
            |attempt: &Attempt| attempt.askers.iter().any(|asker| self.asked.contains_key(asker));
        let held = self.passwords.attempts.iter().filter(|(_, attempt)| !attempt.hashing);
        let gone: Vec<Ticket> =
            held.filter(|(_, attempt)| !waited_for(attempt)).map(|(ticket, _)| *ticket).collect();
        for ticket in gone {
            self.passwords.take(ticket);
        }
    }

    /// The login's account, and its credentials that may serve here. None of either is no error: it is hashed for
    /// nothing. What the file remembers of good logins is told to the throttle on the way.
    fn candidates(
        &mut self,
        check: &PasswordCheck,
    ) -> Result<(Option<Account>, Vec<Credential>), crate::store::StoreError> {
        let Some(account) = self.store.account_by_login(&check.login)? else {
            return Ok((None, self.decoys(&check.login)?));
        };
        let mut credentials = self.store.credentials(account.id)?;
        self.remember_good_logins(&credentials);
        let usable = !check.secret.is_empty() && check.secret.len() <= PASSWORD_BYTES_MAX;
        credentials.retain(|credential| usable && allows(credential.scope, check.service));
        Ok((Some(account), credentials))
    }

    /// The credentials of somebody, chosen by the login that does not exist, always the same for the same: time does
    /// not tell which logins exist. Whatever matches there grants nothing, since there is no account to grant.
    fn decoys(&self, login: &str) -> Result<Vec<Credential>, crate::store::StoreError> {
        let chosen = self.store.account_numbered(self.passwords.number(login))?;
        chosen.map_or(Ok(Vec::new()), |account| self.store.credentials(account))
    }

    fn remember_good_logins(&mut self, credentials: &[Credential]) {
        let now = self.last_now;
        for credential in credentials {
            let recent = credential.last_used.is_some_and(|last| last.after(LOGIN_GOOD_FOR) > now.wall);
            let from = credential.last_from.as_ref().and_then(|from| from.parse::<IpAddr>().ok());
            if let Some(from) = from.filter(|_| recent) {
                self.passwords.throttle.trust(now.mono, from, credential.account);
            }
        }
    }

    /// The time to wait is over (or there was none): hashes it, if somebody still waits and there is room.
    pub(super) fn hash_held(&mut self, now: Now, ticket: Ticket) {
        let Some(attempt) = self.passwords.attempts.get_mut(&ticket) else { return };
        if !attempt.askers.iter().any(|asker| self.asked.contains_key(asker)) {
            self.passwords.take(ticket);
            return;
        }
        let (trusted, net) = (attempt.trusted, Net::of(attempt.check.from));
        if !self.passwords.has_room(trusted) {
            return self.decide(ticket, |_, _| Verdict::Busy);
        }
        let of_net = self.passwords.hashing.entry(net).or_default();
        if !trusted && *of_net >= HASHES_PER_NET_MAX {
            return self.deadlines.add(now.mono.after(HASH_HOLD), Due::Password(ticket));
        }
        *of_net += 1;
        if let Some(attempt) = self.passwords.attempts.get_mut(&ticket) {
            attempt.hashing = true;
            let hashes = attempt.candidates.iter().map(|candidate| candidate.hash.clone()).collect();
            let secret = attempt.check.secret.clone();
            self.effects.push(Effect::Hash { ticket, secret, hashes });
        }
    }

    fn decide(&mut self, ticket: Ticket, judge: impl FnOnce(&mut Engine, &Attempt) -> Verdict) {
        let Some(attempt) = self.passwords.take(ticket) else { return };
        let verdict = judge(self, &attempt);
        for asker in attempt.askers {
            self.answer(asker, Answer::Password(verdict.clone()));
        }
    }

    /// Hashes that came back since the last turn, judged by what the file says now.
    pub(super) fn answer_passwords(&mut self, now: Now) {
        for (ticket, matched) in std::mem::take(&mut self.passwords.hashed) {
            self.decide(ticket, |engine, attempt| engine.judge(now, attempt, matched));
        }
    }

    fn judge(&mut self, now: Now, attempt: &Attempt, matched: Option<usize>) -> Verdict {
        let check = &attempt.check;
        let good =
            matched.and_then(|index| attempt.candidates.get(index)).filter(|good| self.still_holds(good));
        if let (Some(account), Some(good)) = (&attempt.account, good) {
            self.passwords.keep_proof(good, &check.secret);
            return self.grant(now, account, good, check.from);
        }
        self.passwords.throttle.failed(now.mono, check.from, attempt.target);
        self.gauges.logins_denied += 1;
        log::info!("login denied: {:?} from {}", check.login, check.from);
        Verdict::Denied
    }

    fn still_holds(&self, credential: &Credential) -> bool {
        self.store.credentials(credential.account).is_ok_and(|now| {
            now.iter().any(|one| {
                one.id == credential.id && one.hash == credential.hash && one.scope == credential.scope
            })
        })
    }

    fn grant(&mut self, now: Now, account: &Account, credential: &Credential, from: IpAddr) -> Verdict {
        self.gauges.logins += 1;
        self.passwords.throttle.succeeded(now.mono, from, account.id);
        let last = self.passwords.used.get(&credential.id);
        if last.is_none_or(|last| now.mono.since(*last) >= USED_INTERVAL) {
            self.passwords.used.insert(credential.id, now.mono);
            let used = Write::Used { credential: credential.id, at: now.wall, from: from.to_string() };
            self.commit(Author::Engine, used);
        }
        Verdict::Granted(Login {
            account: account.id,
            name: Arc::from(account.name.as_str()),
            credential: credential.id,
            scope: credential.scope,
        })
    }
}

fn allows(scope: Scope, service: Service) -> bool {
    match service {
        Service::Mail => matches!(scope, Scope::All | Scope::ReadOnly),
        Service::Send => matches!(scope, Scope::All | Scope::SendOnly),
    }
}

fn proof_text(credential: &Credential, secret: &[u8]) -> Vec<u8> {
    let mut text =
        format!("{} {} {:?} {}\0", credential.account, credential.id, credential.scope, credential.hash);
    let mut bytes = std::mem::take(&mut text).into_bytes();
    bytes.extend_from_slice(secret);
    bytes
}
