//! The `vae-gpu` command.

fn main() -> std::process::ExitCode {
    vae_gpu::cli::main(std::time::Instant::now())
}
