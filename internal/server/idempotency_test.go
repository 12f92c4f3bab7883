package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/once"
)

// ledger is a Once in memory.
type ledger struct {
	mu   sync.Mutex
	seen map[string]*line
}

type line struct {
	ledger *ledger
	name   string
	print  string
	reply  *once.Reply
}

func (l *ledger) BeginOnce(_ context.Context, r once.Request) (once.Claim, *once.Reply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := r.Tenant + " " + r.Name()
	switch known := l.seen[name]; {
	case known == nil:
		l.seen[name] = &line{ledger: l, name: name, print: r.Fingerprint}
		return l.seen[name], nil, nil
	case known.print != r.Fingerprint:
		return nil, nil, once.ErrReused
	case known.reply == nil:
		return nil, nil, once.ErrRunning
	default:
		return nil, known.reply, nil
	}
}

func (l *line) Keep(_ context.Context, reply once.Reply) error {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	l.reply = &reply
	return nil
}

func (l *line) Release(context.Context) {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	if l.reply == nil {
		delete(l.ledger.seen, l.name)
	}
}

func (l *line) Drop(context.Context) error {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	delete(l.ledger.seen, l.name)
	return nil
}

// remembering is a service that remembers requests, and keeps what it grades.
func remembering(t *testing.T, change ...func(*Config)) (*door, *ledger) {
	t.Helper()
	l := &ledger{seen: map[string]*line{}}
	d := open(t, append([]func(*Config){func(c *Config) { c.Once = l }}, change...)...)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }
	return d, l
}

const tryKey = "Idempotency-Key: 8e03978e-40d5-43dd-bc93-6894a57f9324"

// P5: a repeated try is answered as the first was, and costs nothing.
func TestTheSameRequestWithTheSameKeyIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	d.grader.grade = always200(grading.Result{Record: record(judge.Usage{}), Source: grading.Miss, Usage: judge.Usage{Calls: 1, PromptTokens: 7}})
	first := d.post(asked, tryKey)
	require.Equal(t, http.StatusOK, first.StatusCode)
	require.Empty(t, first.Header.Get("Idempotency-Replayed"))
	for _, body := range []string{asked, strings.Replace(asked, `{`, "{ \n", 1)} {
		again := d.post(body, tryKey)
		require.Equal(t, http.StatusOK, again.StatusCode)
		require.Equal(t, string(first.body), string(again.body))
		require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
		require.Equal(t, "miss", again.Header.Get("X-Cache"))
		require.Equal(t, "no-store", again.Header.Get("Cache-Control"))
	}
	require.Equal(t, 1, d.grader.calls())
	d.post(asked, "Idempotency-Key: another")
	d.post(asked)
	require.Equal(t, 3, d.grader.calls())
}

// Fault 44.
func TestAKeyStandsForOneRequest(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	d.post(asked, tryKey)
	for name, r := range map[string]reply{
		"one byte of the answer": d.post(strings.Replace(asked, `"answer":"`, `"answer":"!`, 1), tryKey),
		"another detail":         d.post(strings.Replace(asked, `{`, `{"detail":"hint",`, 1), tryKey),
		"a fresh grade":          d.post(asked, tryKey, "Cache-Control: no-cache"),
	} {
		require.Equal(t, api.IdempotencyKeyReused.Type, problem(t, r).Type, name)
		require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode)
	}
	require.Equal(t, 1, d.grader.calls())
}

// Fault 45.
func TestTheSameKeyOfTwoTenantsIsTwoRequests(t *testing.T) {
	t.Parallel()
	l := &ledger{seen: map[string]*line{}}
	d, a, b, _ := tenants(t, access.Limits{}, func(c *Config) { c.Once = l })
	d.grader.find = func(grading.Key) (*grading.Record, error) { return record(judge.Usage{}), nil }
	require.Equal(t, http.StatusOK, d.post(asked, a, tryKey).StatusCode)
	other := d.post(strings.Replace(asked, `"answer":"`, `"answer":"!`, 1), b, tryKey)
	require.Equal(t, http.StatusOK, other.StatusCode)
	require.Empty(t, other.Header.Get("Idempotency-Replayed"))
	require.Equal(t, 2, d.grader.calls())
}

// Fault 43.
func TestOfManyTriesAtOnceOneIsAnswered(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	started, release := busy(d)
	first := make(chan reply)
	go func() { first <- d.post(asked, tryKey) }()
	<-started
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			r := d.post(asked, tryKey)
			require.Equal(t, api.IdempotencyInProgress.Type, problem(t, r).Type)
			require.Equal(t, "1", r.Header.Get("Retry-After"))
		})
	}
	wg.Wait()
	release()
	want := <-first
	require.Equal(t, http.StatusOK, want.StatusCode)
	require.Equal(t, string(want.body), string(d.post(asked, tryKey).body), "the same body later")
	require.Equal(t, 1, d.grader.calls())
}

func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	d, l := remembering(t)
	for _, tt := range badRequests {
		if len(tt.body) < 10_000 {
			d.post(tt.body, append([]string{tryKey}, tt.headers...)...)
		}
	}
	require.Empty(t, l.seen, "what is not valid is not even begun")
	for name, err := range map[string]error{
		"5xx": &llm.UnavailableError{}, "4xx": llm.ErrTooLong, "timeout": grading.ErrTimeout, "own fault": errors.New("bug"),
	} {
		d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) { return grading.Result{}, err }
		require.GreaterOrEqual(t, d.post(asked, tryKey).StatusCode, 400, name)
		require.Empty(t, l.seen, name)
	}
	d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) { panic("broken") }
	require.Equal(t, http.StatusInternalServerError, d.post(asked, tryKey).StatusCode)
	require.Empty(t, l.seen)
	d.grader.grade = nil
	require.Equal(t, http.StatusOK, d.post(asked, tryKey).StatusCode, "another try succeeds")
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	for _, key := range []string{strings.Repeat("k", 256), "schl\u00fcssel"} {
		r := d.post(asked, "Idempotency-Key: "+key)
		p := problem(t, r)
		require.Equal(t, api.InvalidRequest.Type, p.Type)
		require.Contains(t, p.Errors[0].Detail, "Idempotency-Key")
	}
	require.Zero(t, d.grader.calls())
	bare := open(t)
	require.Equal(t, api.StoreUnavailable.Type, problem(t, bare.post(asked, tryKey)).Type, "no promise that is not kept")
}

// A client that gave up will try again: the work it asked for goes on.
func TestAGradeWithAKeyOutlivesItsClient(t *testing.T) {
	t.Parallel()
	d, _ := remembering(t)
	started, release := busy(d)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/grades", strings.NewReader(asked))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", strings.TrimPrefix(tryKey, "Idempotency-Key: "))
	left := make(chan error, 1)
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		left <- err
	}()
	<-started
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	require.Equal(t, api.IdempotencyInProgress.Type, problem(t, d.post(asked, tryKey)).Type, "it goes on")
	release()
	require.Eventually(t, func() bool { // the first try has nobody to tell
		return d.post(asked, tryKey).Header.Get("Idempotency-Replayed") == "true"
	}, 20*time.Second, time.Millisecond)
	require.Equal(t, 1, d.grader.calls())
}

func TestAReplyGoesWithItsGrade(t *testing.T) {
	t.Parallel()
	d, l := remembering(t)
	d.grader.find = nil // forgotten while it was on its way
	require.Equal(t, http.StatusOK, d.post(asked, tryKey).StatusCode)
	require.Empty(t, l.seen)
	d.grader.find = func(grading.Key) (*grading.Record, error) { return nil, errors.New("the store does not answer") }
	require.Equal(t, http.StatusOK, d.post(asked, tryKey).StatusCode)
	require.Len(t, l.seen, 1)
	for _, kept := range l.seen {
		require.Equal(t, someGrade, kept.reply.Subject)
	}
}
