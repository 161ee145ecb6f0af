//! Plans and locks.
