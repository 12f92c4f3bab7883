package app

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/telemetry"
)

// lastTraces is how long shutting down waits for a collector.
const lastTraces = 3 * time.Second

// startTracing begins to send traces where the operator named a collector.
func (a *App) startTracing(ctx context.Context) error {
	url := a.cfg.TracesURL()
	if url == "" {
		return nil
	}
	traces, err := telemetry.Start(ctx, url, a.options.Version, a.log)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSetting, err)
	}
	a.traces = traces
	a.onClose("traces", func() error {
		// The context of the run has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTraces)
		defer cancel()
		return traces.Close(ctx)
	})
	return nil
}

// tracers makes tracers; nil where nobody traces.
func (a *App) tracers() trace.TracerProvider {
	if a.traces == nil {
		return nil
	}
	return a.traces.Provider()
}

// traced makes spans of what a model is asked, where somebody traces.
func (a *App) traced(model llm.Completer) llm.Completer {
	if a.traces == nil {
		return model
	}
	return a.traces.Completer(model)
}
