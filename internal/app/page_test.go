package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// within makes a client of a handler in this process.
func within(serve http.HandlerFunc) *http.Client {
	return &http.Client{Transport: &inside{handler: serve}}
}

func ask(ctx context.Context, t *testing.T, client *http.Client, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/path?x=1", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Sent", "yes")
	return client.Do(req)
}

func TestCallsInsideLookLikeCallsFromOutside(t *testing.T) {
	t.Parallel()
	client := within(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Seen", strings.Join([]string{r.Method, r.RequestURI, r.Host, r.RemoteAddr, r.Header.Get("X-Sent"), string(body)}, " "))
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "no")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "reply")
	})
	resp, err := ask(t.Context(), t, client, "the body")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusTeapot, resp.StatusCode, "the first status counts")
	require.Equal(t, "POST /path?x=1 localhost 127.0.0.1:0 yes the body", resp.Header.Get("X-Seen"))
	require.Empty(t, resp.Header.Get("X-Late"), "headers are sent with the status")
	require.Equal(t, "reply", string(body))
}

func TestRepliesInsideAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	client := within(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		<-more
		_, _ = io.WriteString(w, "two\n")
	})
	resp, err := ask(t.Context(), t, client, "")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "one\n", line)
	close(more)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "two\n", line)
	_, err = lines.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
}

func TestCallsInsideEndWithTheirCaller(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(cancel func(), body io.Closer){
		"whose context ends":   func(cancel func(), _ io.Closer) { cancel() },
		"who closes the reply": func(_ func(), body io.Closer) { _ = body.Close() },
	} {
		ended := make(chan error, 1)
		client := within(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
			_, err := io.WriteString(w, "to nobody")
			ended <- err
		})
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := ask(ctx, t, client, "")
		require.NoError(t, err, name)
		leave(cancel, resp.Body)
		require.Error(t, <-ended, name)
		cancel()
		_ = resp.Body.Close()
	}
	// Before there is an answer at all.
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan struct{})
	client := within(func(_ http.ResponseWriter, r *http.Request) {
		cancel(errors.New("gone"))
		<-r.Context().Done()
		close(ended)
	})
	resp, err := ask(ctx, t, client, "")
	if resp != nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	<-ended
}

func TestRepliesInsideThatAreCutShortDoNotLookComplete(t *testing.T) {
	t.Parallel()
	client := within(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})
	resp, err := ask(t.Context(), t, client, "")
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err)
	require.NoError(t, resp.Body.Close())
}
