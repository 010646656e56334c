//! Reading the JSON that comes with a job.

use serde::Deserialize;

use crate::{Failure, Job};

/// The instance's business data as `T`. Data of another shape is a permanent failure that names what does not fit.
pub fn data<'job, T: Deserialize<'job>>(job: &'job Job) -> Result<T, Failure> {
    serde_json::from_str(&job.data).map_err(|problem| {
        let (instance, step) = (&job.instance_id, &job.step);
        Failure::Permanent(format!("the data of {instance} does not fit step {step}: {problem}"))
    })
}

/// The operator's configuration as `T`. A mistake in it is a permanent failure that names the key.
pub fn config<'job, T: Deserialize<'job>>(job: &'job Job) -> Result<T, Failure> {
    serde_json::from_str(&job.config)
        .map_err(|problem| Failure::Permanent(format!("the configuration of the component behind step {} is wrong: {problem}", job.step)))
}
