package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/web"
)

// page makes the web page. It calls the service as any other client does, but
// within this process.
func (a *App) page(ctx context.Context, service http.RoundTripper) (*web.Page, error) {
	calls := &http.Client{Transport: service}
	return web.New(web.Config{
		Client: func(key string) (*api.Client, error) { return api.NewClient(insideURL, key, calls) },
		Secret: a.secret(ctx),
		Now:    time.Now,
		Log:    a.log,
	})
}

// insideURL is the address of the service within this process.
const insideURL = "http://localhost"

// inside is a transport to a handler in this process. The handler runs in its
// own goroutine with the request's context, and its body is read as it is
// written, so that a reply may be of any length and take any time.
type inside struct{ handler http.Handler }

// RoundTrip is part of http.RoundTripper.
func (t *inside) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Host = r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	reader, pipe := io.Pipe()
	// Wakes whoever still writes or reads when the request is over.
	context.AfterFunc(ctx, func() { _ = pipe.CloseWithError(context.Cause(ctx)) })
	w := &reply{header: http.Header{}, pipe: pipe, ready: make(chan struct{})}
	go func() {
		defer func() {
			if what := recover(); what != nil { // http.ErrAbortHandler: the reply must not look complete
				w.end(errors.New("the reply was cut short"))
				return
			}
			w.end(io.EOF)
		}()
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case <-w.ready:
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: &body{reader, cancel}, ContentLength: -1, Request: r,
	}, nil
}

// body is the body of a reply; closing it ends the request.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close is part of io.Closer.
func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// reply is a http.ResponseWriter whose body goes through a pipe.
type reply struct {
	header, sent http.Header
	status       int
	pipe         *io.PipeWriter
	ready        chan struct{}
}

// Header is part of http.ResponseWriter.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader is part of http.ResponseWriter.
func (w *reply) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	close(w.ready)
}

// Write is part of http.ResponseWriter.
func (w *reply) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush is part of http.Flusher: nothing is held back.
func (w *reply) Flush() { w.WriteHeader(http.StatusOK) }

// end closes the body; io.EOF means that it is complete.
func (w *reply) end(why error) {
	w.WriteHeader(http.StatusOK)
	_ = w.pipe.CloseWithError(why)
}
