//! Seconds of single dispatches, by the adapter's own clock: a pass a dispatch, a timestamp at either end.

use super::*;

/// Bytes of a timestamp.
const STAMP: u64 = 8;

impl GpuSession {
    /// [`Session::profile`].
    pub(super) fn times(&mut self, program: ProgramId, step: &Step, repeats: usize) -> Result<Vec<f64>> {
        if !self.shared.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(self.shared.error("it has no timestamp queries, so a dispatch cannot be timed by itself"));
        }
        let count = self.programs[program.0].dispatches.len();
        let stamps = 2 * count;
        if stamps > wgpu::QUERY_SET_MAX_QUERIES as usize {
            let most = wgpu::QUERY_SET_MAX_QUERIES / 2;
            return Err(self.shared.error(format!("the plan has {count} dispatches, {most} can be timed")));
        }
        let bytes = STAMP * stamps as u64;
        let queries = self.shared.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("times"),
            ty: wgpu::QueryType::Timestamp,
            count: stamps as u32,
        });
        let resolved = self.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("times"),
            size: bytes,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.write_rows(program, &[*step])?;
        // Of each group of the plan, which may take several dispatches.
        let groups: Vec<usize> = self.programs[program.0].dispatches.iter().map(|dispatch| dispatch.group).collect();
        let mut ticks: Vec<Vec<f64>> =
            vec![Vec::with_capacity(repeats); groups.iter().max().map_or(0, |last| last + 1)];
        for repeat in 0..=repeats {
            let mut encoder = self.shared.device.create_command_encoder(&Default::default());
            self.counters.dispatches += self.encode_prologues(&mut encoder, &[program]);
            for (at, dispatch) in self.programs[program.0].dispatches.iter().enumerate() {
                let first = 2 * at as u32;
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(first),
                        end_of_pass_write_index: Some(first + 1),
                    }),
                });
                dispatch.encode(&mut pass, 0);
            }
            encoder.resolve_query_set(&queries, 0..stamps as u32, &resolved, 0);
            self.shared.queue.submit([encoder.finish()]);
            self.counters.submissions += 1;
            self.counters.dispatches += count as u64;
            let read: Vec<u64> = self.download(&resolved, 0, bytes)?;
            if repeat == 0 {
                continue; // it warmed up
            }
            ticks.iter_mut().for_each(|ticks| ticks.push(0.0));
            for (&group, ends) in groups.iter().zip(read.chunks(2)) {
                let Some(passed) = ends[1].checked_sub(ends[0]) else {
                    return Err(self.shared.error("its clock ran backwards, so a dispatch cannot be timed by itself"));
                };
                ticks[group][repeat - 1] += passed as f64;
            }
        }
        if ticks.iter().flatten().all(|&passed| passed == 0.0) {
            return Err(self.shared.error("its clock stood still, so a dispatch cannot be timed by itself"));
        }
        let seconds = f64::from(self.shared.queue.get_timestamp_period()) * 1e-9;
        Ok(ticks.iter_mut().map(|ticks| median(ticks) * seconds).collect())
    }
}
