package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// clock stands still until it is told otherwise.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tenants is a service with a key for each of two tenants, held to limits.
func tenants(t *testing.T, limits access.Limits, change ...func(*Config)) (d *door, a, b string, now *clock) {
	t.Helper()
	now = &clock{now: time.Date(2026, 11, 24, 9, 0, 48, 0, time.UTC)}
	keys := make([]access.Key, 2)
	a, keys[0] = access.New()
	b, keys[1] = access.New()
	for i, tenant := range []string{"acme", "rival"} {
		keys[i].Tenant, keys[i].Scopes = tenant, access.AllScopes
	}
	d = open(t, append([]func(*Config){func(c *Config) {
		c.Keys = access.NewRing(access.RingConfig{Configured: keys})
		c.Limits = access.NewLimiter(limits, nil, now.Now)
	}}, change...)...)
	return d, "Authorization: Bearer " + a, "Authorization: Bearer " + b, now
}

// API4:2023, and P11: one tenant cannot use up what is another's.
func TestAKeyThatAsksTooOftenIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	d, a, b, now := tenants(t, access.Limits{Rate: 10})
	for left := 9; left >= 0; left-- {
		r := d.get("/v1/sets", a)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, `"default";q=10;w=60`, r.Header.Get("RateLimit-Policy"))
		require.Equal(t, fmt.Sprintf(`"default";r=%d;t=12`, left), r.Header.Get("RateLimit"))
	}
	for _, r := range []reply{d.get("/v1/sets", a), d.post(asked, a), d.send("DELETE", "/v1/grades/"+someGrade, "", a)} {
		require.Equal(t, http.StatusTooManyRequests, r.StatusCode)
		require.Equal(t, api.RateLimited.Type, problem(t, r).Type)
		require.Equal(t, "12", r.Header.Get("Retry-After"))
		require.Equal(t, `"default";r=0;t=12`, r.Header.Get("RateLimit"))
	}
	require.Zero(t, d.grader.calls())
	require.Equal(t, http.StatusOK, d.post(asked, b).StatusCode, "another tenant notices nothing")
	require.Equal(t, http.StatusOK, d.get("/healthz", a).StatusCode, "open routes are nobody's")
	now.pass(12 * time.Second)
	require.Equal(t, http.StatusOK, d.get("/v1/sets", a).StatusCode)
}

func TestWithoutKeysThereAreNoLimits(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) {
		c.Limits = access.NewLimiter(access.Limits{Rate: 1, InFlight: 1, DailyTokens: 1}, nil, nil)
	})
	for range 5 {
		r := d.post(asked)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Empty(t, r.Header.Get("RateLimit"))
	}
}

// busy makes a grader that holds every grade until it is let go.
func busy(d *door) (started chan struct{}, release func()) {
	started, finish := make(chan struct{}, 100), make(chan struct{})
	d.grader.grade = func(ctx context.Context, _ grading.Request) (grading.Result, error) {
		started <- struct{}{}
		select {
		case <-finish:
			return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
		case <-ctx.Done():
			return grading.Result{}, ctx.Err()
		}
	}
	return started, sync.OnceFunc(func() { close(finish) })
}

func TestAKeyHasOnlySoManyAnswersInFlight(t *testing.T) {
	t.Parallel()
	d, a, b, _ := tenants(t, access.Limits{InFlight: 3})
	started, release := busy(d)
	defer release()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { require.Equal(t, http.StatusOK, d.post(asked, a).StatusCode) })
		<-started
	}
	r := d.post(asked, a)
	require.Equal(t, api.TooManyInFlight.Type, problem(t, r).Type)
	require.Equal(t, "1", r.Header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, d.get("/v1/sets", a).StatusCode, "reading holds nothing")
	wg.Go(func() { require.Equal(t, http.StatusOK, d.post(asked, b).StatusCode) })
	<-started // another tenant is let in
	release()
	wg.Wait()
	require.Equal(t, http.StatusOK, d.post(asked, a).StatusCode, "slots are given back")
	d.grader.grade = func(context.Context, grading.Request) (grading.Result, error) { panic("broken") }
	for range 5 {
		require.Equal(t, http.StatusInternalServerError, d.post(asked, a).StatusCode, "after a panic too")
	}
}

func TestTokensOfADayAreABudget(t *testing.T) {
	t.Parallel()
	d, a, b, now := tenants(t, access.Limits{DailyTokens: 1000})
	d.grader.grade = always200(grading.Result{Record: record(judge.Usage{}), Source: grading.Miss, Usage: judge.Usage{PromptTokens: 400, CachedTokens: 300, CompletionTokens: 150}})
	require.Equal(t, http.StatusOK, d.post(asked, a).StatusCode)
	require.Equal(t, http.StatusOK, d.post(asked, a).StatusCode, "550 of 1000")
	r := d.post(asked, a)
	require.Equal(t, api.TokenBudgetSpent.Type, problem(t, r).Type)
	wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, 14*3600+59*60+12, wait, "until midnight")
	require.Equal(t, http.StatusOK, d.get("/v1/sets", a).StatusCode, "reading costs nothing")
	require.Equal(t, http.StatusOK, d.post(asked, b).StatusCode)
	now.pass(time.Duration(wait) * time.Second)
	require.Equal(t, http.StatusOK, d.post(asked, a).StatusCode)
}

// P19: overload is refused, not queued in memory.
func TestBeyondWhatItTakesOnTheServiceTurnsAwayAtOnce(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{"open": nil, "with keys": {"a key"}} {
		d, a, _, _ := tenants(t, access.Limits{}, func(c *Config) {
			c.MaxInFlight = 4
			if name == "open" {
				c.Keys = nil
			}
		})
		if headers != nil {
			headers[0] = a
		}
		started, release := busy(d)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { require.Equal(t, http.StatusOK, d.post(asked, headers...).StatusCode) })
			<-started
		}
		for range 20 {
			r := d.post(asked, headers...)
			require.Equal(t, api.Overloaded.Type, problem(t, r).Type, name)
			require.Equal(t, "1", r.Header.Get("Retry-After"))
		}
		require.Equal(t, http.StatusOK, d.get("/readyz").StatusCode)
		require.Equal(t, 4, d.grader.calls())
		release()
		wg.Wait()
		require.Equal(t, http.StatusOK, d.post(asked, headers...).StatusCode)
	}
}
