package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/rubric"
)

const acceptEvents = "Accept: text/event-stream"

// found is a criterion as a judge has decided it.
func found(id string, verdict judge.Verdict) grading.CriterionGrade {
	return grading.CriterionGrade{ID: id, Statement: "Says " + secret + ".", Kind: rubric.Core, Weight: 50, Verdict: verdict, Evidence: []evidence.Quote{}}
}

// deciding makes the grader decide and then end as outcome says.
func deciding(d *door, outcome func(req grading.Request) (grading.Result, error)) {
	d.grader.grade = func(_ context.Context, req grading.Request) (grading.Result, error) { return outcome(req) }
}

// eventsOf reads a whole stream, without pings.
func eventsOf(t *testing.T, r reply) []event {
	t.Helper()
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
	require.Equal(t, eventStream, r.Header.Get("Content-Type"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	require.Empty(t, r.Header.Get("X-Cache"))
	var list []event
	require.NoError(t, readEvents(strings.NewReader(string(r.body)), func(e event) {
		if e.name != api.EventPing {
			list = append(list, e)
		}
	}))
	return list
}

// names are the events by name, with the verdict of each criterion.
func names(t *testing.T, list []event) []string {
	t.Helper()
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.name
		if e.name == api.EventCriterion {
			var c api.CriterionGrade
			require.NoError(t, json.Unmarshal([]byte(e.data), &c))
			out[i] = c.ID + " " + string(c.Verdict)
		}
	}
	return out
}

// opened is a stream on which events can be waited for.
type opened struct {
	header http.Header
	next   func() event
}

func (d *door) follow(ctx context.Context, headers ...string) *opened {
	d.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/grades", strings.NewReader(asked))
	require.NoError(d, err)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range append(headers, acceptEvents) {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	list, header := make(chan event), make(chan http.Header, 1)
	go func() {
		defer close(list)
		defer close(header)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		header <- resp.Header
		_ = readEvents(resp.Body, func(e event) {
			select {
			case list <- e:
			case <-ctx.Done():
			}
		})
	}()
	began, ok := <-header
	require.True(d, ok, "there is no reply")
	return &opened{began, func() event { return <-list }}
}

func TestCriteriaAreToldAsTheyAreDecided(t *testing.T) {
	t.Parallel()
	d := open(t)
	step := make(chan struct{})
	deciding(d, func(req grading.Request) (grading.Result, error) {
		for _, c := range []grading.CriterionGrade{found("runbooks", judge.Missed), found("prune", judge.Partial), found("prune", judge.Met)} {
			req.Decided(c)
			<-step
		}
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss, Usage: judge.Usage{Calls: 2, PromptTokens: 700}}, nil
	})
	s := d.follow(t.Context())
	require.Equal(t, eventStream, s.header.Get("Content-Type"))
	require.Equal(t, "no", s.header.Get("X-Accel-Buffering"))
	var seen []event
	for range 3 {
		seen = append(seen, s.next()) // each while the grade is still being made
		step <- struct{}{}
	}
	last := s.next()
	require.Equal(t, []string{"runbooks missed", "prune partial", "prune met"}, names(t, seen))
	require.Contains(t, seen[0].data, `"evidence":[]`)
	require.Equal(t, api.EventGrade, last.name)
	require.Zero(t, s.next(), "nothing follows the grade")

	deciding(d, func(grading.Request) (grading.Result, error) {
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss, Usage: judge.Usage{Calls: 2, PromptTokens: 700}}, nil
	})
	require.Equal(t, string(d.post(asked).body), last.data, "byte for byte the body of the plain reply")
	require.NotContains(t, d.log.String(), secret)
	require.Contains(t, d.log.String(), `"cache":"miss"`)
}

func TestOnlyWhoAsksForEventsGetsThem(t *testing.T) {
	t.Parallel()
	d := open(t)
	for accept, want := range map[string]string{
		"text/event-stream": eventStream, "text/event-stream, application/json;q=.5": eventStream, "application/json;q=0.2,Text/Event-Stream": eventStream,
		"": "application/json", "*/*": "application/json", "text/*": "application/json", "application/json": "application/json",
		"application/json, text/event-stream": "application/json", "text/event-stream;q=0": "application/json", "text/event-stream;q=.1, application/json": "application/json",
		"text/html,*/*;q=0.8": "application/json", ";;": "application/json",
	} {
		r := d.post(asked, "Accept: "+accept)
		require.Equal(t, want, r.Header.Get("Content-Type"), accept)
		require.Equal(t, want == eventStream, d.grader.last(t).Decided != nil, accept)
		if want == eventStream {
			require.Equal(t, []string{"grade"}, names(t, eventsOf(t, r)), "a grade that needs no time comes alone")
		}
	}
}

func TestEventsKeepToTheDetail(t *testing.T) {
	t.Parallel()
	d := open(t)
	deciding(d, func(req grading.Request) (grading.Result, error) {
		if req.Decided != nil {
			c := found("prune", judge.Partial)
			c.Comment = "Half of it."
			req.Decided(c)
		}
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
	})
	for detail, comment := range map[string]string{"nudge": "", "hint": "Half of it.", "full": "Half of it."} {
		body := strings.TrimSuffix(asked, "}") + `,"detail":"` + detail + `"}`
		list := eventsOf(t, d.post(body, acceptEvents))
		require.Equal(t, []string{"prune partial", "grade"}, names(t, list))
		var c api.CriterionGrade
		require.NoError(t, json.Unmarshal([]byte(list[0].data), &c))
		require.Equal(t, comment, c.Comment, detail)
		require.Equal(t, string(d.post(body).body), list[1].data, detail)
	}
}

// A flight outlives whoever began it: the judge may still be telling.
func TestWhatIsDecidedAfterTheReplyIsNotSent(t *testing.T) {
	t.Parallel()
	d := open(t)
	late, told := make(chan struct{}), make(chan struct{})
	deciding(d, func(req grading.Request) (grading.Result, error) {
		req.Decided(found("prune", judge.Met))
		go func() {
			defer close(told)
			<-late
			for range 100 {
				req.Decided(found("runbooks", judge.Met))
			}
		}()
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
	})
	require.Equal(t, []string{"prune met", "grade"}, names(t, eventsOf(t, d.post(asked, acceptEvents))))
	close(late)
	<-told
	d.grader.grade = nil
	require.Equal(t, []string{"grade"}, names(t, eventsOf(t, d.post(asked, acceptEvents))), "nor to the next one")
}

func TestAStreamIsHeldUpByNoReader(t *testing.T) {
	t.Parallel()
	g := &gradeStream{news: make(chan struct{}, 1)}
	for range 3 {
		for _, id := range []string{"a", "b"} {
			g.decided(found(id, judge.Missed)) // nobody takes them
		}
	}
	g.decided(found("a", judge.Met))
	require.Len(t, g.waiting, 2, "one of each criterion")
	require.Equal(t, judge.Met, g.waiting[0].Verdict, "the latest")
}

func TestFailuresBeforeTheFirstCriterionHaveTheirStatus(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range errorsAtTheEdge {
		deciding(d, func(grading.Request) (grading.Result, error) { return grading.Result{}, tt.err })
		plain, r := d.post(asked), d.post(asked, acceptEvents)
		require.Equal(t, problem(t, plain), problem(t, r), tt.name)
		require.Equal(t, plain.Header.Get("Retry-After"), r.Header.Get("Retry-After"))
		require.Empty(t, r.Header.Get("X-Accel-Buffering"))
	}
	for _, tt := range badRequests {
		r := d.post(tt.body, append([]string{acceptEvents}, tt.headers...)...)
		require.Equal(t, tt.status, problem(t, r).Status, tt.name)
	}
	d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) { panic(secret) }
	require.Equal(t, api.Internal.Type, problem(t, d.post(asked, acceptEvents)).Type)
}

func TestAFailureAfterTheFirstCriterionIsTheLastEvent(t *testing.T) {
	t.Parallel()
	seen := make(chan Exchange, 10)
	d := open(t, func(c *Config) { c.Observe = func(e Exchange) { seen <- e } })
	for _, tt := range []struct {
		fails func() error
		want  api.ProblemType
		retry bool
	}{
		{func() error { return &llm.RateLimitError{RetryAfter: 7 * time.Second} }, api.ModelUnavailable, true},
		{func() error { return grading.ErrTimeout }, api.ModelTimeout, false},
		{func() error { return errors.New(secret) }, api.Internal, false},
		{func() error { panic(secret) }, api.Internal, false},
	} {
		deciding(d, func(req grading.Request) (grading.Result, error) {
			if req.Decided != nil {
				req.Decided(found("prune", judge.Met))
			}
			return grading.Result{}, tt.fails()
		})
		r := d.post(asked, acceptEvents)
		list := eventsOf(t, r)
		require.Equal(t, []string{"prune met", "problem"}, names(t, list), tt.want.Type)
		require.Equal(t, tt.retry, strings.Contains(string(r.body), "\nretry: 7000\n"), "%s", r.body)
		require.NotContains(t, list[1].data, secret)
		e := <-seen
		require.Equal(t, tt.want.Slug(), e.Problem)
		require.Equal(t, tt.want.Status, e.Status, "it is counted as the failure that it is")
		require.JSONEq(t, string(d.post(asked).body), list[1].data, "what the plain reply would have been")
		<-seen
	}
}

func TestAStreamPings(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.server.times.ping = 10 * time.Millisecond
	_, release := busy(d)
	s := d.follow(t.Context())
	for range 3 {
		require.Equal(t, event{name: api.EventPing, data: "{}"}, s.next())
	}
	release()
	for {
		if e := s.next(); e.name != api.EventPing {
			require.Equal(t, api.EventGrade, e.name)
			return
		}
	}
}

func TestWhoLeavesAStreamEndsItsGrade(t *testing.T) {
	t.Parallel()
	seen := make(chan Exchange, 1)
	d := open(t, func(c *Config) { c.Observe = func(e Exchange) { seen <- e } })
	d.grader.grade = func(ctx context.Context, req grading.Request) (grading.Result, error) {
		req.Decided(found("prune", judge.Met))
		<-ctx.Done()
		req.Decided(found("runbooks", judge.Met))
		return grading.Result{}, ctx.Err()
	}
	ctx, leave := context.WithCancel(t.Context())
	s := d.follow(ctx)
	require.Equal(t, api.EventCriterion, s.next().name)
	leave()
	e := <-seen
	require.Equal(t, statusClientGone, e.Status)
	require.Empty(t, e.Problem)
}

func TestAStreamThatTheServiceBreaksOffDoesNotLookComplete(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.grader.grade = func(ctx context.Context, req grading.Request) (grading.Result, error) {
		req.Decided(found("prune", judge.Met))
		<-ctx.Done()
		return grading.Result{}, ctx.Err()
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/v1/grades", strings.NewReader(asked))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", eventStream)
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	d.server.cancel() // the time to finish is over
	_, err = io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestARepeatedRequestForEventsGetsTheGrade(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	deciding(d, func(req grading.Request) (grading.Result, error) {
		if req.Decided != nil {
			req.Decided(found("prune", judge.Met))
		}
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
	})
	first := eventsOf(t, d.post(asked, tryKey, acceptEvents))
	require.Equal(t, []string{"prune met", "grade"}, names(t, first))
	again := d.post(asked, tryKey, acceptEvents)
	require.Equal(t, first[1:], eventsOf(t, again))
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	plain := d.post(asked, tryKey)
	require.Equal(t, first[1].data, string(plain.body), "how a reply is sent makes no other request")
	require.Equal(t, "miss", plain.Header.Get("X-Cache"))
	require.Equal(t, 1, d.grader.calls())
	other := d.post(strings.Replace(asked, `"answer":"`, `"answer":"!`, 1), tryKey, acceptEvents)
	require.Equal(t, api.IdempotencyKeyReused.Type, problem(t, other).Type)
}

func TestStreamsCountAgainstTheLimits(t *testing.T) {
	t.Parallel()
	d, a, b, _ := tenants(t, access.Limits{InFlight: 1}, func(c *Config) { c.MaxInFlight = 2 })
	hold := make(chan struct{})
	deciding(d, func(req grading.Request) (grading.Result, error) {
		req.Decided(found("prune", judge.Met))
		<-hold
		return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
	})
	first := d.follow(t.Context(), a)
	require.Equal(t, api.EventCriterion, first.next().name)
	require.Equal(t, "acme", d.grader.last(t).Tenant)
	require.Equal(t, api.TooManyInFlight.Type, problem(t, d.post(asked, a, acceptEvents)).Type)
	second := d.follow(t.Context(), b)
	require.Equal(t, api.EventCriterion, second.next().name)
	require.Equal(t, int64(2), d.server.inFlight.Load())
	require.Equal(t, api.KeyNeeded.Type, problem(t, d.post(asked, acceptEvents)).Type)
	close(hold)
	require.Equal(t, api.EventGrade, first.next().name)
	require.Equal(t, api.EventGrade, second.next().name)
	require.Zero(t, first.next())
	require.Zero(t, second.next())
	require.Eventually(t, func() bool { return d.server.inFlight.Load() == 0 }, 20*time.Second, time.Millisecond)
}
