// Package telemetry sends traces of requests to an OpenTelemetry collector, by
// OTLP over HTTP and under the standard variables (OTEL_EXPORTER_OTLP_*,
// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, ...).
//
// What it records of a model call is its name, length and cost, never a word
// that was sent or received. It is the only package that knows the
// OpenTelemetry SDK; others know the interface that tracers have.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/gradus-ai/gradus/internal/llm"
)

// scope names the instrumentation.
const scope = "github.com/gradus-ai/gradus"

// Telemetry makes and sends spans. Make it with Start, end it with Close.
type Telemetry struct{ provider *trace.TracerProvider }

// Start begins to send traces to a collector's URL for them; what else there
// is to say about sending comes from the standard variables. A collector that
// does not answer is logged and costs nothing else.
func Start(ctx context.Context, url, version string, log *slog.Logger) (*Telemetry, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	if err != nil {
		return nil, fmt.Errorf("make trace exporter: %w", err)
	}
	described, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "gradus"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // last, so that the operator's names win
	if err != nil {
		return nil, fmt.Errorf("describe this service: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("sending traces", "error", err) }))
	return &Telemetry{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(described))}, nil
}

// Provider makes tracers.
func (t *Telemetry) Provider() api.TracerProvider { return t.provider }

// Close sends what is waiting. It ends when ctx does.
func (t *Telemetry) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// Completer makes a span of every attempt that next makes, by the semantic
// conventions for generative AI.
func (t *Telemetry) Completer(next llm.Completer) llm.Completer {
	name := ""
	if models := next.Models(); len(models) > 0 {
		name = models[0]
	}
	return &completer{next: next, name: name, tracer: t.provider.Tracer(scope)}
}

type completer struct {
	next   llm.Completer
	name   string
	tracer api.Tracer
}

func (c *completer) Models() []string { return c.next.Models() }

func (c *completer) Complete(ctx context.Context, req llm.Request) (*llm.Reply, error) {
	ctx, span := c.tracer.Start(ctx, "chat "+c.name, api.WithSpanKind(api.SpanKindClient), api.WithAttributes(
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.request.model", c.name),
		attribute.Int("gen_ai.request.max_tokens", req.MaxTokens)))
	defer span.End()
	reply, err := c.next.Complete(ctx, req)
	if err != nil {
		// The kind only: an error may quote what an endpoint answered.
		span.SetStatus(codes.Error, llm.Kind(err))
		span.SetAttributes(attribute.String("error.type", llm.Kind(err)))
		return nil, err
	}
	finish := "stop"
	switch {
	case reply.Refused:
		finish = "content_filter"
	case reply.Truncated:
		finish = "length"
	}
	span.SetAttributes(
		attribute.String("gen_ai.response.model", reply.Model),
		attribute.StringSlice("gen_ai.response.finish_reasons", []string{finish}),
		attribute.Int("gen_ai.usage.input_tokens", reply.Usage.PromptTokens),
		attribute.Int("gen_ai.usage.cache_read.input_tokens", reply.Usage.CachedTokens),
		attribute.Int("gen_ai.usage.output_tokens", reply.Usage.CompletionTokens))
	return reply, nil
}
