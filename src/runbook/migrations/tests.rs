//! What is made of folders and names.
