//! A profile of an adapter: any text is one, one of something else, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vae_gpu::backend::Adapter;
use vae_gpu::backend::profile::TuningCache;
use vae_gpu_fuzz::write;

fuzz_target!(|input: &[u8]| {
    let adapter = Adapter { name: "Quick".to_owned(), driver: Some("maker 1.2".to_owned()) };
    if let Err(error) = TuningCache::File(write("a.toml", input)).find(&adapter) {
        assert!(!error.to_string().is_empty());
    }
});
