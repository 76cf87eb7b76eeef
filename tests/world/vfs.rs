//! SQLite's own door to the disk, with a porter. It becomes the default VFS of the test process, stands in front of
//! the real one, and lets `Disk` rule on every read, write, truncation, sync and deletion of the folders it watches;
//! all other files pass untouched. Locks and shared memory are the real VFS's.
//!
//! Memory-mapped reads are not offered (io methods version 2), so that every read is seen.
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rusqlite::ffi;

use super::disk::{Disk, Ruling};

/// Our part of an open file; the real VFS's part lies behind it in the same allocation.
#[repr(C)]
struct Opened {
    base: ffi::sqlite3_file,
    real: *mut ffi::sqlite3_file,
    /// From `Box::into_raw`, given back in `close`.
    watched: *mut Watched,
}

struct Watched {
    disk: Arc<Disk>,
    path: PathBuf,
}

static INSTALL: Once = Once::new();

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Makes this the default VFS of the process, once.
pub fn install() {
    INSTALL.call_once(|| {
        // SAFETY: initialize and find may be called at any time from any thread; the default VFS of a built-in SQLite is
        // a static that is never freed, so that copying its fields and keeping its address is sound.
        let (mut ours, real) = unsafe {
            assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
            let real = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!real.is_null(), "SQLite has a default VFS");
            (std::ptr::read(real), real)
        };
        ours.szOsFile += size_of::<Opened>() as c_int;
        ours.pNext = std::ptr::null_mut();
        ours.zName = c"porter".as_ptr();
        ours.pAppData = real.cast();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        let ours: &'static mut ffi::sqlite3_vfs = Box::leak(Box::new(ours));
        // SAFETY: `ours` lives for ever, and every method that was not replaced takes the VFS only to reach fields
        // that are equal in the copy (the unix VFS's pAppData is read in xOpen alone, which passes the real one).
        let code = unsafe { ffi::sqlite3_vfs_register(ours, 1) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
}

/// The VFS that we stand in front of.
///
/// # Safety
/// `vfs` is the one registered by `install`.
unsafe fn real_vfs(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: `install` put the real VFS there.
    unsafe { (*vfs).pAppData.cast() }
}

/// # Safety
/// `name` is null or a NUL-terminated string.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: not null, and terminated as the caller promises.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(Path::new(OsStr::from_bytes(bytes)).to_owned())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes our VFS, a name that is null or a string, and szOsFile bytes for `file`, aligned to 8,
    // which hold `Opened` and behind it (its size is a multiple of 8) the real file.
    unsafe {
        let real_vfs = real_vfs(vfs);
        let Some(real_open) = (*real_vfs).xOpen else { return ffi::SQLITE_CANTOPEN };
        let watched = path_of(name).and_then(|path| Disk::of(&path).map(|disk| Watched { disk, path }));
        let Some(watched) = watched else { return real_open(real_vfs, name, file, flags, out_flags) };
        let opened: *mut Opened = file.cast();
        let real: *mut ffi::sqlite3_file = opened.add(1).cast();
        (*opened).base.pMethods = std::ptr::null();
        (*real).pMethods = std::ptr::null();
        if !watched.disk.opened(&watched.path) {
            return ffi::SQLITE_CANTOPEN;
        }
        let code = real_open(real_vfs, name, real, flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        (*opened).real = real;
        (*opened).watched = Box::into_raw(Box::new(watched));
        (*opened).base.pMethods = &METHODS;
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite passes our VFS and a terminated name.
    unsafe {
        if let Some(path) = path_of(name)
            && let Some(disk) = Disk::of(&path)
            && !disk.deleted(&path)
        {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let real_vfs = real_vfs(vfs);
        (*real_vfs).xDelete.map_or(ffi::SQLITE_IOERR_DELETE, |delete| delete(real_vfs, name, sync_folder))
    }
}

/// Calls a method of the real file, or answers `$missing` where it has none.
macro_rules! real {
    ($file:expr, $missing:expr, $method:ident($($argument:expr),*)) => {{
        let real = (*$file.cast::<Opened>()).real;
        match (*(*real).pMethods).$method {
            Some(method) => method(real $(, $argument)*),
            None => $missing,
        }
    }};
}

/// # Safety
/// `file` was opened by `open` and is not closed.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> &'a Watched {
    // SAFETY: `open` set the pointer from a Box that lives until `close`.
    unsafe { &*(*file.cast::<Opened>()).watched }
}

fn code(ruling: Ruling, io_error: c_int) -> Option<c_int> {
    match ruling {
        Ruling::Go => None,
        Ruling::IoError => Some(io_error),
        Ruling::Full => Some(ffi::SQLITE_FULL),
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once, after which no method is called on it.
    unsafe {
        let closed = real!(file, ffi::SQLITE_OK, xClose());
        drop(Box::from_raw((*file.cast::<Opened>()).watched));
        closed
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, out: *mut c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `file` is open and `out` has room for `count` bytes, which is the real method's contract too.
    unsafe {
        if let Some(code) = code(watched(file).disk.read(), ffi::SQLITE_IOERR_READ) {
            return code;
        }
        real!(file, ffi::SQLITE_IOERR_READ, xRead(out, count, at))
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    at: i64,
) -> c_int {
    // SAFETY: `file` is open and `bytes` points to `count` readable bytes (count is never negative).
    unsafe {
        let this = watched(file);
        let slice = std::slice::from_raw_parts(bytes.cast::<u8>(), count.max(0) as usize);
        if let Some(code) =
            code(this.disk.write(&this.path, at.max(0) as u64, slice), ffi::SQLITE_IOERR_WRITE)
        {
            return code;
        }
        real!(file, ffi::SQLITE_IOERR_WRITE, xWrite(bytes, count, at))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: `file` is open.
    unsafe {
        let this = watched(file);
        let ruling = this.disk.truncate(&this.path, length.max(0) as u64);
        if let Some(code) = code(ruling, ffi::SQLITE_IOERR_TRUNCATE) {
            return code;
        }
        real!(file, ffi::SQLITE_IOERR_TRUNCATE, xTruncate(length))
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: `file` is open. The real sync is left out: the book decides what is durable, the host's disk does not matter.
    let this = unsafe { watched(file) };
    code(this.disk.sync(&this.path), ffi::SQLITE_IOERR_FSYNC).unwrap_or(ffi::SQLITE_OK)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: `file` is open and `out` points to one integer.
    unsafe {
        if watched(file).disk.is_dead() {
            return ffi::SQLITE_IOERR_FSTAT;
        }
        real!(file, ffi::SQLITE_IOERR_FSTAT, xFileSize(out))
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_OK, xLock(level)) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_OK, xUnlock(level)) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_OK, xCheckReservedLock(out)) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, op: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_NOTFOUND, xFileControl(op, argument)) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is open.
    unsafe { real!(file, 4096, xSectorSize()) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is open.
    unsafe { real!(file, 0, xDeviceCharacteristics()) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_IOERR_SHMMAP, xShmMap(page, size, extend, out)) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, at: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: `file` is open; passed on as it came.
    unsafe { real!(file, ffi::SQLITE_IOERR_SHMLOCK, xShmLock(at, count, flags)) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: `file` is open.
    unsafe { real!(file, (), xShmBarrier()) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: `file` is open. After a crash nothing may be deleted any more.
    unsafe {
        let delete = if watched(file).disk.is_dead() { 0 } else { delete };
        real!(file, ffi::SQLITE_OK, xShmUnmap(delete))
    }
}
