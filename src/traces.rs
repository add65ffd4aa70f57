//! Exports traces to a collector over OTLP/HTTP, if the settings name a collector. One trace follows an upload from its
//! request through the queue to the worker and to the stores that the worker uses (`instrument::continue_trace`).

use anyhow::Context;
use domain::InvalidSetting;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// Section `[traces]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceSettings {
    /// The collector's address; empty for no export.
    pub(crate) endpoint: String,
    /// The name of this process in the traces.
    pub(crate) service: String,
    /// The ratio of exported traces among those that begin here, from 0 to 1. A trace that began elsewhere is exported
    /// if it is sampled there.
    pub(crate) sample_ratio: f64,
}

impl TraceSettings {
    /// Checks the settings without sending anything.
    ///
    /// # Errors
    /// If the ratio or the address is invalid.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        InvalidSetting::require(
            (0.0..=1.0).contains(&self.sample_ratio),
            "traces.sample_ratio",
            self.sample_ratio,
            "write 0.0 to 1.0",
        )?;
        let url = reqwest::Url::parse(&self.endpoint);
        let is_valid = self.endpoint.is_empty() || url.is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        let allowed = "write an address such as http://127.0.0.1:4318, or nothing";
        InvalidSetting::require(is_valid, "traces.endpoint", format_args!("\"{}\"", self.endpoint), allowed)
    }
}

/// Sends traces to the collector, on a thread of its own. While the collector is unavailable, the traces are lost, and
/// the program is not affected otherwise.
pub(crate) struct TraceExporter(Option<SdkTracerProvider>);

impl TraceExporter {
    /// Starts the export. Does nothing if the settings name no collector.
    ///
    /// # Errors
    /// If the ratio or the address is invalid.
    pub(crate) fn start(settings: &TraceSettings) -> anyhow::Result<Self> {
        settings.check()?;
        if settings.endpoint.is_empty() {
            return Ok(Self(None));
        }
        // OTLP/HTTP defines this path (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request).
        let address = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(&address).build();
        let exporter = exporter.with_context(|| format!("traces.endpoint: {address}"))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(settings.service.clone()).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
            .with_batch_exporter(exporter)
            .build();
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self(Some(provider)))
    }

    /// Returns the layer that exports only the spans of this workspace's crates. Without a collector there is no layer,
    /// so that spans cost nothing.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> Option<impl Layer<S> + use<S>> {
        // All crates of the workspace that make spans.
        let targets = ["cloakroom", "api", "worker", "backends", "instrument", "queue", "records", "storage"]
            .map(|target| (target, LevelFilter::DEBUG));
        let tracer = self.0.as_ref()?.tracer("cloakroom");
        // The line of the source and the thread of a span are of no use to the collector.
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        Some(layer.with_filter(Targets::new().with_targets(targets)))
    }

    /// Sends the remaining spans. Gives up after the SDK's time limit of 5 seconds.
    pub(crate) fn shutdown(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be exported");
        }
    }
}
