//! Signals as events of the loop: nothing runs inside a signal handler.

use mio::{Interest, Registry, Token};
use signal_hook_mio::v1_0::Signals;

use super::Failure;

/// What somebody wants of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGINT, SIGTERM: finish what is in flight and end.
    Stop,
    /// SIGHUP: settings and certificates may have changed.
    Reload,
}

const SIGHUP: i32 = rustix::process::Signal::HUP.as_raw();
const SIGINT: i32 = rustix::process::Signal::INT.as_raw();
const SIGTERM: i32 = rustix::process::Signal::TERM.as_raw();

pub struct Wishes {
    signals: Signals,
}

impl Wishes {
    pub fn listen(registry: &Registry, token: Token) -> Result<Wishes, Failure> {
        let listen = || {
            let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
            registry.register(&mut signals, token, Interest::READABLE)?;
            Ok(Wishes { signals })
        };
        listen()
            .map_err(|error: std::io::Error| Failure::Other(format!("no signals can be received: {error}")))
    }

    pub fn take(&mut self) -> Vec<Wish> {
        let wish = |signal| if signal == SIGHUP { Wish::Reload } else { Wish::Stop };
        self.signals.pending().map(wish).collect()
    }
}
