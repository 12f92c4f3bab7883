package openai_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

func TestAttemptHasAnEnd(t *testing.T) {
	t.Parallel()
	short := func(cfg *openai.Config) { cfg.AttemptTimeout = 50 * time.Millisecond }
	for _, c := range []struct {
		name string
		step llmtest.Step
	}{
		{"no headers", llmtest.Hang()},
		{"a byte at a time", llmtest.Drip(20 * time.Millisecond)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			_, err := client(t, model, "m", short).Complete(t.Context(), question())
			require.ErrorIs(t, err, llm.ErrTimeout)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, llm.Retryable(err))
		})
	}
	t.Run("header timeout of the transport", func(t *testing.T) {
		t.Parallel()
		model := llmtest.New(t, llmtest.Hang())
		_, err := client(t, model, "m", func(cfg *openai.Config) {
			cfg.Transport, cfg.HeaderTimeout = nil, 50*time.Millisecond
		}).Complete(t.Context(), question())
		require.ErrorIs(t, err, llm.ErrTimeout)
	})
}

func TestCallersEndIsTheContexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		step llmtest.Step
	}{
		{"before headers", llmtest.Hang()},
		{"within the body", llmtest.Drip(time.Millisecond)},
	} {
		t.Run("cancelled "+c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := client(t, model, "m").Complete(ctx, question())
				done <- err
			}()
			model.Arrived(1)
			cancel()
			err := <-done
			require.ErrorIs(t, err, context.Canceled)
			require.False(t, llm.Retryable(err))
		})
	}
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		model := llmtest.New(t, llmtest.Hang())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := client(t, model, "m").Complete(ctx, question())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, llm.ErrTimeout)
	})
}

func TestUnreachableEndpoint(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	c, err := openai.New(openai.Config{BaseURL: "http://user:hunter2@" + addr + "/v1", Model: "m"})
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.EqualError(t, err, "model is unavailable: refused connection")
	require.True(t, llm.Retryable(err))
}

// An endpoint that cannot prove who it is gets nothing.
func TestCertificates(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ask := func(cfg openai.Config) error {
		cfg.Model, cfg.DialTimeout = "m", time.Minute
		c, err := openai.New(cfg)
		require.NoError(t, err)
		_, err = c.Complete(t.Context(), question())
		return err
	}
	err := ask(openai.Config{BaseURL: server.URL})
	require.EqualError(t, err, "model is unavailable: certificate of unknown authority")

	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.ServerName = "elsewhere.invalid"
	err = ask(openai.Config{BaseURL: server.URL, TLS: trusting})
	require.EqualError(t, err, "model is unavailable: certificate of another host")

	late := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	late.Time = func() time.Time { return time.Now().AddDate(200, 0, 0) }
	err = ask(openai.Config{BaseURL: server.URL, TLS: late})
	require.EqualError(t, err, "model is unavailable: certificate expired")
	require.True(t, llm.Retryable(err), "renewed certificates do come")
	require.False(t, asked)

	err = ask(openai.Config{BaseURL: strings.Replace(server.URL, "https", "http", 1)})
	require.Error(t, err, "plain http to a TLS port")
}

func TestPlainHTTPNeverGoesToAProxy(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("{}"))
	errProxy := errors.New("went to the proxy")
	settings := openai.Config{BaseURL: model.URL, Model: "m", Proxy: func(*http.Request) (*url.URL, error) { return nil, errProxy }}
	c, err := openai.New(settings)
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.NoError(t, err)

	settings.BaseURL = "https://model.invalid/v1"
	c, err = openai.New(settings)
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.EqualError(t, err, "model is unavailable: broken connection", "https asks for its proxy")
}

func TestConnectionsAreKeptForAllCallsInFlight(t *testing.T) {
	t.Parallel()
	const inFlight, rounds = 12, 5
	opened := make(chan struct{}, inFlight*rounds)
	gate := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		gate <- struct{}{}
		_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"x"}}]}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened <- struct{}{}
		}
	}
	server.Start()
	c, err := openai.New(openai.Config{BaseURL: server.URL, Model: "m", MaxConcurrency: inFlight})
	require.NoError(t, err)
	for range rounds {
		done := make(chan error)
		for range inFlight {
			go func() {
				_, err := c.Complete(t.Context(), question())
				done <- err
			}()
		}
		for range inFlight {
			<-gate
		}
		for range inFlight {
			require.NoError(t, <-done)
		}
	}
	server.CloseClientConnections()
	server.Close()
	// A call may find the last one's connection not yet put back, so a few
	// more than inFlight are fair; net/http's default makes about fifty.
	require.LessOrEqual(t, len(opened), 2*inFlight)
}
