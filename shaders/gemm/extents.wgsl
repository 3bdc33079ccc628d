// A is [M, K], B [K, N], the result [M, N].

override M: u32;
override N: u32;
override K: u32;
