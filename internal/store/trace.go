package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// trace makes spans of what clients do, where somebody traces. The arguments of
// commands are grades and answers, and stay out of them.
func (s *Store) trace(clients ...*redis.Client) error {
	if s.cfg.Tracers == nil {
		return nil
	}
	done := make(map[*redis.Client]bool, len(clients))
	for _, c := range clients {
		if c == nil || done[c] {
			continue
		}
		done[c] = true
		if err := redisotel.InstrumentTracing(c, redisotel.WithTracerProvider(children{s.cfg.Tracers}),
			redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false)); err != nil {
			return fmt.Errorf("trace the store: %w", err)
		}
	}
	return nil
}

// children makes tracers of spans that belong to another span. The store also
// talks to Redis on its own account, all the time, and a trace of one ping is of
// no use to anybody.
type children struct{ trace.TracerProvider }

func (c children) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return childTracer{c.TracerProvider.Tracer(name, options...)}
}

type childTracer struct{ trace.Tracer }

func (t childTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, noop.Span{}
	}
	return t.Tracer.Start(ctx, name, options...)
}
