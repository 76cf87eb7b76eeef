//! The command's end of the control socket: one request, one answer, blocking.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::base::limits;

use super::Failure;
use super::frame::{Answer, Request, frame_length};
use super::lock::beside;

/// A connection to the server that runs on a file.
pub struct Asking {
    stream: UnixStream,
}

impl Asking {
    /// `None`: no server runs on this file (a socket left behind by one that was killed counts as none).
    pub fn connect(db: &Path) -> Option<Asking> {
        let stream = UnixStream::connect(reachable(&beside(db, ".sock")).path()).ok()?;
        let patience = Some(limits::CONTROL_TIMEOUT);
        stream.set_read_timeout(patience).ok()?;
        stream.set_write_timeout(patience).ok()?;
        Some(Asking { stream })
    }

    pub fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        let frame = self.exchange(request).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Failure::Other("the server does not answer; whether the change was made is not known".into())
            }
            _ => Failure::Other(format!("the server has hung up before it answered: {error}")),
        })?;
        match Answer::unseal(&frame) {
            None | Some(Answer::Unknown) => Err(Failure::Other(
                "the server does not understand this command: it is of another version, restart it".into(),
            )),
            Some(answer) => Ok(answer),
        }
    }

    fn exchange(&mut self, request: &Request) -> std::io::Result<Vec<u8>> {
        self.stream.write_all(&request.seal())?;
        let mut frame = vec![0; 4];
        self.stream.read_exact(&mut frame)?;
        let length = frame_length(&frame).ok().flatten().ok_or(ErrorKind::InvalidData)?;
        frame.resize(length, 0);
        self.stream.read_exact(frame.get_mut(4..).unwrap_or_default())?;
        Ok(frame)
    }
}

/// A socket's path in a form the system takes: `sockaddr_un` holds 107 bytes, and a folder may well be deeper. Such a
/// folder is held open and named by its descriptor instead.
pub struct Reachable {
    path: PathBuf,
    _folder: Option<std::fs::File>,
}

const SUN_PATH_MAX: usize = 107;

pub fn reachable(path: &Path) -> Reachable {
    let plain = || Reachable { path: path.into(), _folder: None };
    if path.as_os_str().len() <= SUN_PATH_MAX {
        return plain();
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return plain() };
    let Ok(folder) = std::fs::File::open(folder) else { return plain() };
    let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
    Reachable { path: PathBuf::from(format!("/proc/self/fd/{number}")).join(name), _folder: Some(folder) }
}

impl Reachable {
    pub fn path(&self) -> &Path {
        &self.path
    }
}
