package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

func TestSetsAreListedInFileOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	var sets []api.SetSummary
	require.NoError(t, json.Unmarshal(d.get("/v1/sets").body, &sets))
	require.Len(t, sets, 1)
	require.Equal(t, "platform", sets[0].ID)
	require.Equal(t, []string{"on-call", "mistake"}, []string{sets[0].Questions[0].ID, sets[0].Questions[1].ID})

	var one api.SetSummary
	require.NoError(t, json.Unmarshal(d.get("/v1/sets/platform").body, &one))
	require.Equal(t, sets[0], one)
	require.True(t, strings.HasPrefix(one.Digest, "sha256:"))
}

func TestSampleAnswerIsShownOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	d := open(t)
	const path = "/v1/sets/platform/questions/on-call"
	plain := d.get(path)
	require.NotContains(t, string(plain.body), "sample_answer")
	golden(t, "question.json", indented(t, plain.body))
	whole := d.get(path + "?include=sample_answer")
	require.Contains(t, string(whole.body), `"sample_answer":"I would delete`)
	require.NotEqual(t, plain.Header.Get("ETag"), whole.Header.Get("ETag"))
	for _, other := range []string{"/v1/sets", "/v1/sets/platform"} {
		require.NotContains(t, string(d.get(other).body), "I would delete every alert")
	}
}

func TestUnchangedSetsAreNotSentAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, path := range []string{"/v1/sets", "/v1/sets/platform", "/v1/sets/platform/questions/on-call"} {
		etag := d.get(path).Header.Get("ETag")
		require.NotEmpty(t, etag)
		for _, sent := range []string{etag, `"other", W/` + etag, "*"} {
			r := d.get(path, "If-None-Match: "+sent)
			require.Equal(t, http.StatusNotModified, r.StatusCode, sent)
			require.Empty(t, r.body)
			require.Equal(t, etag, r.Header.Get("ETag"))
		}
		require.Equal(t, http.StatusOK, d.get(path, `If-None-Match: "other"`).StatusCode)
	}
}

func TestHeadSaysWhatGetWouldSay(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, path := range []string{"/", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/swagger-ui.css", "/v1/sets", "/v1/sets/platform/questions/on-call", "/v1/grades/" + someGrade, "/nothing"} {
		get, head := d.get(path), d.send(http.MethodHead, path, "")
		require.Equal(t, get.StatusCode, head.StatusCode, path)
		require.Empty(t, head.body, path)
		require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"), path)
		if length := head.Header.Get("Content-Length"); length != "" && get.ContentLength >= 0 {
			require.Equal(t, fmt.Sprint(get.ContentLength), length, path)
		}
	}
}

func TestRepliesCarryTheirRequestID(t *testing.T) {
	t.Parallel()
	d := open(t)
	require.Equal(t, "abc-1.2_3", d.get("/healthz", "X-Request-Id: abc-1.2_3").Header.Get("X-Request-Id"))
	for name, sent := range map[string]string{"none": "", "too long": strings.Repeat("x", 129), "forged log line": `x","level":"ERROR`, "space": "a b"} {
		got := d.get("/healthz", "X-Request-Id: "+sent).Header.Get("X-Request-Id")
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, got, name)
	}
}

func TestRepliesAreSafeToOpenInABrowser(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, path := range []string{"/", "/docs", "/docs/start.js", "/healthz", "/v1/sets", "/nothing"} {
		h := d.get(path).Header
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		require.NotContains(t, h.Get("Content-Security-Policy"), "script-src 'unsafe", path)
		require.Empty(t, h.Get("Server"), path)
	}
	for _, path := range []string{"/", "/docs"} {
		page := string(d.get(path).body)
		require.NotContains(t, page, "<script>", "no inline script")
		require.NotContains(t, strings.ReplaceAll(page, "http://localhost:8080", ""), "http", "nothing from elsewhere")
	}
}

func TestDocsPageHasItsFiles(t *testing.T) {
	t.Parallel()
	d := open(t)
	page := string(d.get("/docs").body)
	require.Equal(t, page, string(d.get("/docs/").body))
	for _, file := range []string{"/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js", "/docs/favicon-32x32.png"} {
		require.Contains(t, page, `"`+file+`"`)
		for _, encoding := range []string{"gzip", "identity"} {
			r := d.get(file, "Accept-Encoding: "+encoding)
			require.Equal(t, http.StatusOK, r.StatusCode, file)
			require.NotEmpty(t, r.body)
		}
	}
}

func TestAccessLogHoldsNoTextOfCallers(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.post(`{"question_id":"platform/on-call","answer":"` + secret + `"}`)
	d.get("/v1/sets?x=" + secret)
	d.get("/" + secret)
	d.get("/v1/sets/" + secret)
	d.send("X-"+secret, "/v1/sets", "")
	log := d.log.String()
	require.NotContains(t, log, secret)
	require.Equal(t, 5, strings.Count(log, `"msg":"request"`))
	first, _, _ := strings.Cut(log, "\n")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(first), &line))
	delete(line, "time")
	delete(line, "took_ms")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "request", "request_id": "test", "method": "POST", "route": "/v1/grades",
		"status": 200., "bytes": float64(len(d.post(asked).body)), "tenant": "local", "cache": "miss",
	}, line)
}

func TestExchangesAreObserved(t *testing.T) {
	t.Parallel()
	seen := make(chan Exchange, 2)
	d := open(t, func(c *Config) { c.Observe = func(e Exchange) { seen <- e } })
	d.post(asked)
	e := <-seen
	require.Positive(t, e.Took)
	e.Took = 0
	require.Equal(t, Exchange{Method: "POST", Route: "/v1/grades", Status: 200, Cache: "miss"}, e)
	d.get("/" + secret)
	e = <-seen
	e.Took = 0
	require.Equal(t, Exchange{Method: "GET", Status: 404, Problem: "not-found"}, e)
	d.send("X-"+secret, "/v1/sets", "")
	e = <-seen
	e.Took = 0
	require.Equal(t, Exchange{Method: "other", Status: 405, Problem: "method-not-allowed"}, e, "an invented method is no label")
}

func TestOtherHandlersAreMounted(t *testing.T) {
	t.Parallel()
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	d := open(t, func(c *Config) { c.Metrics, c.Page = say("metrics"), say("page") })
	require.Equal(t, "metrics", string(d.get("/metrics").body))
	for _, path := range []string{"/", "/sets/platform", "/sets/platform/on-call", "/batches", "/batches/ba_1", "/session", "/static/x/app.css"} {
		require.Equal(t, "page", string(d.get(path).body), path)
	}
	require.Equal(t, "page", string(d.send("POST", "/sets/platform/on-call", "answer=x").body))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var state api.ReadyState
	d := open(t, func(c *Config) {
		c.Health = healthOf(&state)
	})
	for s, want := range map[api.ReadyState]int{api.Ready: 200, api.Degraded: 200, api.Unready: 503, api.Draining: 503} {
		state = s
		r := d.get("/readyz")
		require.Equal(t, want, r.StatusCode)
		var got api.Readiness
		require.NoError(t, json.Unmarshal(r.body, &got))
		require.Equal(t, s, got.Status)
		require.Equal(t, "redis", got.Checks[0].Name)
	}
	require.JSONEq(t, `{"status":"ok","version":"test"}`, string(d.get("/healthz").body))
}

func healthOf(state *api.ReadyState) Health {
	return func(context.Context) api.Readiness {
		return api.Readiness{Status: *state, Checks: []api.Check{{Name: "redis", Status: *state}}}
	}
}

// The client of package api speaks to a real server here, so that the two
// cannot drift apart.
func TestClientAndServerUnderstandEachOther(t *testing.T) {
	t.Parallel()
	d := locked(t)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }
	client, err := api.NewClient(d.url, clearKey, nil)
	require.NoError(t, err)
	ctx := t.Context()

	want := decodeGrade(t, d.post(asked, "Authorization: Bearer "+clearKey))
	got, err := client.Grade(ctx, api.GradeRequest{QuestionID: "platform/on-call", Answer: "x", Detail: api.DetailFull}, api.Fresh())
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.True(t, d.grader.last(t).Fresh)

	_, err = client.Grade(ctx, api.GradeRequest{Answer: "x", Question: &api.Question{
		Question: "Why?", Criteria: []api.Criterion{{ID: "a", Statement: "Says why."}},
	}})
	require.NoError(t, err)
	require.Equal(t, "Why?", d.grader.last(t).Question.Text)

	_, err = client.Grade(ctx, api.GradeRequest{QuestionID: "platform/on-call", Answer: "x"}, api.WithIdempotencyKey("order-1"))
	require.ErrorIs(t, err, api.StoreUnavailable, "the key arrives, and this service remembers nothing")

	got, err = client.GetGrade(ctx, someGrade, api.DetailNudge)
	require.NoError(t, err)
	require.Empty(t, got.Feedback.Improvements[0].Starter)
	require.NoError(t, client.ForgetGrade(ctx, someGrade))

	sets, err := client.Sets(ctx)
	require.NoError(t, err)
	set, err := client.Set(ctx, "platform")
	require.NoError(t, err)
	require.Equal(t, sets[0], *set)
	question, err := client.Question(ctx, "platform/on-call", true)
	require.NoError(t, err)
	require.NotEmpty(t, question.SampleAnswer)

	_, err = client.Question(ctx, "platform/none", false)
	require.ErrorIs(t, err, api.UnknownQuestion)
	_, err = client.Grade(ctx, api.GradeRequest{QuestionID: "platform/on-call", Answer: strings.Repeat("x", api.MaxAnswer+1)})
	require.ErrorIs(t, err, api.InvalidRequest)
	stranger, err := api.NewClient(d.url, "", nil)
	require.NoError(t, err)
	_, err = stranger.Sets(ctx)
	require.ErrorIs(t, err, api.KeyNeeded)
}
