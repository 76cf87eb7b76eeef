//! IDLE (RFC 2177, RFC 9051 section 6.3.13). The view is loaded when it begins, from the cache that all sessions share,
//! so that telling a delivery to a thousand idle sessions costs a comparison each.

use crate::base::{Mono, limits};
use crate::imap::lex::{Bad, Parsed, Parser};
use crate::imap::reply::{self, Reply};
use crate::imap::server::{Core, Pause, Running};
use crate::imap::tell::{Tell, Telling};
use crate::session::{Cx, Want, Watch};

pub fn idle(_: &mut Parser<'_>) -> Parsed<Box<dyn Running>> {
    Ok(Box::new(Idle { begun: false, telling: None }))
}

struct Idle {
    begun: bool,
    /// A telling that is under way.
    telling: Option<Box<Telling>>,
}

impl Running for Idle {
    fn step(&mut self, core: &mut Core, cx: &mut Cx<'_>) -> Result<Reply, Pause> {
        if !std::mem::replace(&mut self.begun, true) {
            cx.output.str("+ idling\r\n");
        }
        if std::mem::take(&mut cx.expired) && cx.output.is_empty() {
            // Outlook gives up silently on a connection that says nothing for some minutes.
            cx.output.str("* OK Still here\r\n");
        }
        // What is pending is told at once, also at the very start: Thunderbird counts on it.
        let telling = self.telling.get_or_insert_with(|| Box::new(Telling::new(Tell::All)));
        telling.step(core, cx)?;
        self.telling = None;
        if let Some(selected) = core.selected.as_deref_mut().filter(|selected| !selected.has_view()) {
            selected.view(cx)?;
        }
        if cx.input.peek().contains(&b'\n') || cx.input.eof() || cx.input.len() > limits::SASL_LINE_BYTES_MAX
        {
            // Further commands in the same packet stay where they are: iOS sends them so.
            let line = super::line(core, cx)?;
            return match line.eq_ignore_ascii_case(b"DONE") {
                true => Ok(reply::ok("Done")),
                false => Err(Bad("IDLE ends with DONE").into()),
            };
        }
        let of = match (&core.selected, core.login()?) {
            (Some(selected), _) => Watch::Mailbox(selected.mailbox),
            (None, login) => Watch::Account(login.account),
        };
        Err(Pause::Wait(Want::News { of, until: next_tick(cx.now.mono) }))
    }

    fn is_idle(&self) -> bool {
        self.telling.is_none()
    }
}

/// The next point of the grid that all idle connections share, so that one wake-up serves them all.
fn next_tick(now: Mono) -> Mono {
    let step = u64::try_from(limits::KEEPALIVE.as_micros()).unwrap_or(u64::MAX);
    Mono((now.0 / step + 1).saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_idle_sessions_wake_at_the_same_moment() {
        let step = limits::KEEPALIVE.as_micros() as u64;
        assert_eq!(next_tick(Mono(1)), next_tick(Mono(step - 1)));
        assert_eq!(next_tick(Mono(step)), Mono(2 * step));
    }
}
