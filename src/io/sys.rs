//! The only place with `unsafe`: two settings of the C library's allocator that no safe crate offers.
//!
//! Left alone, glibc keeps an arena per thread and, once a 19 MiB block of a password hash has been freed, raises the
//! size from which blocks are given back to the system: a server that needs 10 MiB then holds 60.

#![cfg_attr(target_env = "gnu", allow(unsafe_code))]

#[cfg(target_env = "gnu")]
mod glibc {
    use std::ffi::c_int;

    // <malloc.h> of glibc; part of its stable interface.
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_ARENA_MAX: c_int = -8;

    unsafe extern "C" {
        fn mallopt(param: c_int, value: c_int) -> c_int;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub fn tune() {
        for (param, value) in
            [(M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, 512 * 1024), (M_TRIM_THRESHOLD, 1024 * 1024)]
        {
            // SAFETY: mallopt takes two plain integers and may be called at any time.
            unsafe { mallopt(param, value) };
        }
    }

    pub fn trim() {
        // SAFETY: malloc_trim takes a plain integer, locks the arenas itself, and frees only what nobody owns.
        unsafe { malloc_trim(0) };
    }
}

/// Makes the allocator modest. To be called before the first thread starts.
pub fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    glibc::tune();
}

/// Gives freed memory back to the system. Takes milliseconds on a large heap: only for quiet moments.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    glibc::trim();
}
