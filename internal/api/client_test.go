package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

// call is what the service saw of a request.
type call struct{ method, uri, key, cache, id, body string }

// service answers every request the same way and remembers the last.
func service(t *testing.T, status int, media, body string, headers ...string) (*api.Client, *call) {
	t.Helper()
	seen := &call{}
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*seen = call{
			method: r.Method, uri: r.RequestURI, key: r.Header.Get("Authorization"),
			cache: r.Header.Get("Cache-Control"), id: r.Header.Get("X-Request-Id"), body: string(read),
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(ts.Close)
	client, err := api.NewClient(ts.URL+"/behind/", "the-key", nil)
	require.NoError(t, err)
	return client, seen
}

func TestClientAsks(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, tt := range map[string]struct {
		reply string
		ask   func(*api.Client) error
		want  call
	}{
		"for a grade": {`{"status":"graded","of a newer version":1}`, func(c *api.Client) error {
			g, err := c.Grade(ctx, api.GradeRequest{QuestionID: "a/b", Answer: ""})
			require.Equal(t, api.Graded, g.Status)
			return err
		}, call{method: "POST", uri: "/behind/v1/grades", body: `{"question_id":"a/b","answer":""}`}},
		"for a fresh grade": {`{}`, func(c *api.Client) error {
			_, err := c.Grade(ctx, api.GradeRequest{Answer: "x"}, api.Fresh(), api.WithRequestID("r1"))
			return err
		}, call{method: "POST", uri: "/behind/v1/grades", cache: "no-cache", id: "r1", body: `{"answer":"x"}`}},
		"for a kept grade": {`{}`, func(c *api.Client) error {
			_, err := c.GetGrade(ctx, "gr_a", api.DetailHint)
			return err
		}, call{method: "GET", uri: "/behind/v1/grades/gr_a?detail=hint"}},
		"to forget": {``, func(c *api.Client) error { return c.ForgetGrade(ctx, "a/../b") },
			call{method: "DELETE", uri: "/behind/v1/grades/a%2F..%2Fb"}},
		"for sets": {`[{"id":"a"}]`, func(c *api.Client) error {
			sets, err := c.Sets(ctx)
			require.Len(t, sets, 1)
			return err
		}, call{method: "GET", uri: "/behind/v1/sets"}},
		"for a set": {`{}`, func(c *api.Client) error {
			_, err := c.Set(ctx, "a b")
			return err
		}, call{method: "GET", uri: "/behind/v1/sets/a%20b"}},
		"for a question": {`{}`, func(c *api.Client) error {
			_, err := c.Question(ctx, "a/b", true)
			return err
		}, call{method: "GET", uri: "/behind/v1/sets/a/questions/b?include=sample_answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, seen := service(t, http.StatusOK, "application/json", tt.reply)
			require.NoError(t, tt.ask(client))
			tt.want.key = "Bearer the-key"
			require.Equal(t, tt.want, *seen)
		})
	}
}

func TestClientReturnsProblems(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(api.Problem{
		Type: api.ModelUnavailable.Type, Title: "t", Status: 503, Detail: "d", Instance: "urn:x",
		Errors: []api.Fault{{Pointer: "/answer", Detail: "too long"}, {Line: 3, Detail: "not JSON"}},
	})
	require.NoError(t, err)
	client, _ := service(t, 503, api.ProblemMedia, string(body), "Retry-After: 7")
	_, err = client.Sets(t.Context())
	var p *api.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, 7*time.Second, p.RetryAfter)
	require.Equal(t, "/answer", p.Errors[0].Pointer)
	require.ErrorIs(t, err, api.ModelUnavailable)
	require.False(t, errors.Is(err, api.Internal))
	require.EqualError(t, err, "503 t: d; /answer: too long; line 3 not JSON")
}

func TestAProblemSaysASingleFaultOnce(t *testing.T) {
	t.Parallel()
	p := &api.Problem{Title: "t", Status: 422, Detail: "/answer: this field is missing.", Errors: []api.Fault{{Pointer: "/answer", Detail: "this field is missing"}}}
	require.EqualError(t, p, "422 t: /answer: this field is missing.")
	p.Detail = "The question is not valid."
	require.EqualError(t, p, "422 t: The question is not valid.; /answer: this field is missing")
}

func TestClientMakesAProblemOfWhatIsNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status      int
		media, body string
	}{
		"a proxy's page":  {502, "text/html", "<h1>Bad Gateway</h1>"},
		"a cut problem":   {500, api.ProblemMedia, `{"type":`},
		"an empty reply":  {429, "", ""},
		"a redirect":      {302, "text/html", "elsewhere"},
		"foreign JSON":    {401, "application/json", `{"error":"key"}`},
		"an empty object": {404, api.ProblemMedia, `{}`},
	} {
		client, _ := service(t, tt.status, tt.media, tt.body, "Location: http://127.0.0.1:1/")
		_, err := client.Set(t.Context(), "a")
		var p *api.Problem
		require.ErrorAs(t, err, &p, name)
		require.Equal(t, tt.status, p.Status, name)
		require.Equal(t, "about:blank", p.Type, name)
		require.NotContains(t, err.Error(), "<h1>", name)
	}
}

func TestClientRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	client, _ := service(t, 200, "application/json", "<html>")
	_, err := client.Sets(t.Context())
	require.ErrorContains(t, err, "decode the service's reply")

	client, _ = service(t, 200, "application/json", strings.Repeat(" ", 17<<20))
	_, err = client.Sets(t.Context())
	require.ErrorContains(t, err, "more than 16777216 bytes")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Sets(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestClientNeedsAnAddress(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "ftp://x", "http://", "http://[::1"} {
		_, err := api.NewClient(base, "", nil)
		require.Error(t, err, base)
	}
	client, err := api.NewClient("http://localhost:8080", "", nil)
	require.NoError(t, err)
	_, err = client.Question(t.Context(), "no-slash", false)
	require.ErrorIs(t, err, api.UnknownQuestion)
}
