//! Trains a VAE on a tenth of MNIST and prints a digit that it draws: the library in 25 lines.

use vae_gpu::backend::{DeviceChoice, TuningCache, select};
use vae_gpu::config::TrainConfig;
use vae_gpu::data::Dataset;
use vae_gpu::graph::PARAMETERS;
use vae_gpu::rng::{Draw, Stream};
use vae_gpu::train::{Trainer, generate::Decoder};

fn main() -> vae_gpu::Result<()> {
    let config = TrainConfig { hidden: Some(vec![200]), latent: 10, epochs: 10, lr: 3e-3, ..TrainConfig::default() };
    let mut data = Dataset::embedded()?;
    data.train = data.train.take_first(6_000);
    let selected = select(&DeviceChoice::Auto, &TuningCache::Nowhere)?;
    let device = selected.device;
    println!("{}: {}", device.name(), selected.why);
    let options = device.options();
    let mut trainer = Trainer::new(&config, &data, &*device, options, None)?;
    while let Some(line) = trainer.run_epoch(&mut ())? {
        println!(
            "epoch {}: test loss {:.1} nats, {:.0} images/s",
            line.epoch, line.losses["test_loss"], line.images_per_s
        );
    }

    let (checkpoint, model) = (trainer.checkpoint()?, trainer.model());
    let mut session = device.session(model.layout(), &[])?;
    session.write_arena(PARAMETERS, &checkpoint.parameters)?;
    let decoder = Decoder::load(&mut *session, model, 1, options)?;
    let mut code = [0.0; 10];
    Draw { seed: 4, stream: Stream::Prior, step: 0 }.normals(0, &mut code);
    let image = decoder.apply(&mut *session, &code, &[])?; // [1, 784]
    for row in image.chunks(28).step_by(2) {
        println!("{}", row.iter().map(|&pixel| [' ', '.', 'o', '@'][(pixel * 3.99) as usize]).collect::<String>());
    }
    Ok(())
}
