package server

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceContext reads the W3C headers by which a caller says what trace a
// request belongs to.
var traceContext = propagation.TraceContext{}

// beginSpan makes the request part of its caller's trace. The span is named by
// the pattern of the path, which holds nothing that a caller wrote.
func (s *Server) beginSpan(c *gin.Context, x *exchange) {
	if s.tracer == nil {
		return
	}
	method, route := known(c.Request.Method), c.FullPath()
	name := method
	if route != "" {
		name += " " + route
	}
	ctx := traceContext.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
	ctx, x.span = s.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method),
		attribute.String("http.route", route),
		attribute.String("gradus.request_id", x.id)))
	c.Request = c.Request.WithContext(ctx)
}

// endSpan says how the request ended.
func (x *exchange) endSpan(status int) {
	if x.span == nil {
		return
	}
	x.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if x.cache != "" {
		x.span.SetAttributes(attribute.String("gradus.cache", x.cache))
	}
	if x.problem != "" {
		x.span.SetAttributes(attribute.String("error.type", x.problem))
	}
	if status >= http.StatusInternalServerError {
		x.span.SetStatus(codes.Error, x.problem)
	}
	x.span.End()
}
