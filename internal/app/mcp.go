package app

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/mcp"
)

// mcpHandler serves agents over HTTP. Each message acts with the key it came
// with, through the service itself, so that nothing is allowed here that is not
// allowed there.
func (a *App) mcpHandler(service http.RoundTripper) http.Handler {
	calls := &http.Client{Transport: service}
	return mcp.Handler(func(r *http.Request) (mcp.Service, error) {
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		return api.NewClient(insideURL, key, calls)
	}, a.options.Version, a.log)
}

// ServeMCP serves one agent over a pair of streams until the input ends or the
// context does, with a service of its own inside this process.
func (a *App) ServeMCP(ctx context.Context, in io.ReadCloser, out io.WriteCloser) error {
	return a.serveWithin(ctx, func(ctx context.Context, service http.RoundTripper) error {
		client, err := api.NewClient(insideURL, "", &http.Client{Transport: service})
		if err != nil {
			return err
		}
		return mcp.Serve(ctx, client, a.options.Version, in, out)
	})
}
