//! Other people's data: what is read of each kind of source, value by value; what is said of it; and each fault, named.
mod arrays;
mod classes;
mod common;
mod folders;
mod later;
mod pictures;
mod sources;
mod tables;
