//! Writes kernels for other compilers than naga. Without a folder nothing happens.
//!
//! - `cargo bench --bench shaders -- --spirv FOLDER`: GEMM kernels for `run.py`, which reads what GPU drivers make of them;
//! - `--hlsl FOLDER`: every kernel that DX12 may be given, for `dx12.py`;
//! - `--wgsl FOLDER`: every kernel at WebGPU's default limits, for `tests/dawn/kernels.mjs`.
//!
//! `kernels.json` in the folder says what each is.

mod every;
mod hlsl;
mod spirv;

use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    // A word behind `cargo bench` is a filter of benches.
    let words: Vec<String> = std::env::args().skip_while(|word| !word.starts_with("--") || word == "--bench").collect();
    let [kind, folder, ..] = words.as_slice() else {
        println!("cargo bench --bench shaders -- --spirv|--hlsl|--wgsl FOLDER writes kernels");
        return Ok(());
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let kernels = match kind.as_str() {
        "--spirv" => spirv::write(folder)?,
        "--hlsl" => hlsl::write(folder)?,
        "--wgsl" => every::on_webgpu()?.iter().map(every::Kernel::wgsl).collect(),
        _ => return Err(format!("{kind}: it must be --spirv, --hlsl or --wgsl").into()),
    };
    std::fs::write(folder.join("kernels.json"), serde_json::to_string_pretty(&kernels)?)?;
    println!("{} kernels in {}", kernels.len(), folder.display());
    Ok(())
}
