//! Sampling on a device and queue that the host application already owns: what a game or a viewer has.
//!
//! `cargo run --release --example own_device -- runs/NAME/checkpoints/best.safetensors`; without a checkpoint the model has
//! its first, untrained weights.

use std::path::Path;

use vae_gpu::backend::gpu::{Gpu, GpuOptions};
use vae_gpu::backend::{Device, cpu::Cpu};
use vae_gpu::graph::PARAMETERS;
use vae_gpu::models::{Model, ModelConfig};
use vae_gpu::train::Checkpoint;
use vae_gpu::train::generate::{LatentSource, Sampler};
use vae_gpu::{Error, Result};

/// What the host does anyway.
fn hosts_own() -> Option<(wgpu::Device, wgpu::Queue)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok()?;
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor { label: Some("host"), ..Default::default() }))
        .ok()
}

fn main() -> Result<()> {
    let Some((device, queue)) = hosts_own() else {
        println!("there is no adapter: nothing to show");
        return Ok(());
    };
    let gpu = Gpu::on(device.clone(), queue.clone(), GpuOptions::default())?;

    let (model, parameters) = match std::env::args().nth(1) {
        Some(path) => {
            let checkpoint = Checkpoint::load(Path::new(&path))?;
            (Model::new(checkpoint.header.model)?, checkpoint.parameters)
        }
        None => {
            let model = Model::new(ModelConfig::vae(784))?;
            let parameters = model.layout().initial(1);
            (model, parameters)
        }
    };
    let draw = |device: &dyn Device| -> Result<Vec<f32>> {
        let mut session = device.session(model.layout(), &[])?;
        session.write_arena(PARAMETERS, &parameters)?;
        let sampler = Sampler::load(&mut *session, &model, 16, LatentSource::Prior, device.options())?;
        sampler.draw(&mut *session, 16, &[], 7, |_, _| {
            Err(Error::Usage("this example draws from models with a prior: vae, iwae, gan".to_owned()))
        })
    };
    let images = draw(&gpu)?; // [16, features]
    let wanted = draw(&Cpu::<f32>::new())?;
    let worst = images.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{}: 16 images, at most {worst:.1e} from the CPU's", gpu.name());
    assert!(worst < 1e-3);

    // The host goes on with its device: the images are a buffer of its own now.
    let bytes: Vec<u8> = images.iter().map(|pixel| (pixel * 255.0) as u8).collect();
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the host's"),
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    queue.submit([]);
    println!("{} bytes in a buffer of the host's", buffer.size());
    Ok(())
}
