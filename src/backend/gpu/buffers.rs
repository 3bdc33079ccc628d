//! Buffers: storage with guard words behind it where checks are on, and the way of results back to the host.

use super::*;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

/// Bytes of guard words behind every buffer when checks are on.
pub(super) const GUARD: u64 = 256;
/// What they hold.
pub(super) const GUARD_WORD: u32 = 0xdead_beef;

/// Writes bytes to the beginning of a buffer, up to a whole word: how many were sent.
pub(super) fn upload(shared: &Shared, buffer: &wgpu::Buffer, held: &[u8]) -> u64 {
    let whole = held.len() / 4 * 4;
    shared.queue.write_buffer(buffer, 0, &held[..whole]);
    if whole < held.len() {
        let mut last = [0; 4];
        last[..held.len() - whole].copy_from_slice(&held[whole..]);
        shared.queue.write_buffer(buffer, whole as u64, &last);
    }
    held.len().next_multiple_of(4) as u64
}

/// A storage buffer; with checks on, filled with `poison` and followed by guard words.
pub(super) fn storage(shared: &Shared, label: &str, bytes: u64, poison: u32) -> Result<wgpu::Buffer> {
    let allowed = shared.binding_limit();
    if bytes > allowed {
        let reason = format!("{label} needs {bytes} bytes in one binding, this adapter allows {allowed}");
        return Err(shared.error(reason));
    }
    let guard = if shared.options.checks { GUARD } else { 0 };
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let descriptor =
        wgpu::BufferDescriptor { label: Some(label), size: bytes.max(4) + guard, usage, mapped_at_creation: false };
    let buffer = shared.device.create_buffer(&descriptor);
    if shared.options.checks {
        let mut words = vec![poison; bytes.max(4) as usize / 4];
        words.extend([GUARD_WORD; GUARD as usize / 4]);
        shared.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
    }
    Ok(buffer)
}

/// A buffer that results are copied to and the host reads.
pub(super) fn staging(shared: &Shared, bytes: u64) -> wgpu::Buffer {
    shared.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Asks for the first `bytes` to be mapped once `index` is done.
pub(super) fn map(staging: wgpu::Buffer, bytes: u64, index: wgpu::SubmissionIndex) -> PendingReadback {
    let (sender, mapped) = oneshot_channel();
    staging.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
        // The receiver is only gone when the session is.
        let _ = sender.send(result);
    });
    PendingReadback { staging, mapped, index }
}

type MapResult = std::result::Result<(), wgpu::BufferAsyncError>;

/// A submission's metrics on their way.
pub(super) struct PendingReadback {
    staging: wgpu::Buffer,
    mapped: OneshotReceiver<MapResult>,
    index: wgpu::SubmissionIndex,
}

impl std::fmt::Debug for PendingReadback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingReadback").finish_non_exhaustive()
    }
}

impl PendingReadback {
    /// Waits for the first `len` bytes, and gives the buffer back.
    pub(super) fn read<T: bytemuck::Pod>(self, shared: &Shared, len: u64) -> Result<(Vec<T>, wgpu::Buffer)> {
        let wait = wgpu::PollType::Wait { submission_index: Some(self.index), timeout: None };
        let waited = shared.device.poll(wait);
        if waited.is_err() {
            // What a lost device calls comes after the call that failed.
            let _ = shared.device.poll(wgpu::PollType::Poll);
        }
        shared.check()?;
        waited.map_err(|error| shared.error(format!("it did not finish: {error}")))?;
        match pollster::block_on(self.mapped.receive()) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(shared.error(format!("results could not be mapped: {error}"))),
            None => return Err(shared.error("it was lost while results were under way")),
        }
        let values = {
            let view = self.staging.get_mapped_range(..len).map_err(|error| shared.error(error.to_string()))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        self.staging.unmap();
        Ok((values, self.staging))
    }
}
