package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// vault is a Redis with API keys, apart from those of other tests: a stored key
// guards every service on the same Redis.
type vault struct {
	t     *testing.T
	redis *storetest.Server
	store *store.Store
}

func newVault(t *testing.T) *vault {
	t.Helper()
	redis := storetest.Start(t)
	kept, err := app.OpenKeys(t.Context(), &config.Config{RedisURL: config.Secret(redis.URL())}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = kept.Close() }) // the Redis may have been killed
	return &vault{t, redis, kept}
}

// key makes a key with every scope.
func (v *vault) key(tenant string, limits access.Limits) (clear, id string) {
	v.t.Helper()
	clear, key := access.New()
	key.Tenant, key.Scopes, key.Limits, key.Created = tenant, access.AllScopes, limits, time.Now()
	require.NoError(v.t, v.store.CreateKey(v.t.Context(), key))
	return clear, key.ID
}

// serve runs a service on the vault that wants a key from its first moment, and
// sees when it ends that it told nobody any of these.
func (v *vault) serve(model *llmtest.Server, secrets ...string) *running {
	v.t.Helper()
	cfg := settings(model, v.redis.URL())
	cfg.RequireKeys, cfg.KeyRate, cfg.KeyInFlight = true, 100_000, 256
	r := serve(v.t, cfg)
	v.t.Cleanup(func() {
		for _, secret := range secrets {
			assert.NotContains(v.t, string(r.log.bytes()), secret, "a key in the log")
		}
	})
	return r
}

// with sends a request with a key.
func (r *running) with(key, method, path string, body any, headers ...string) response {
	r.t.Helper()
	return r.must(r.do(r.t.Context(), method, path, body, append([]string{"Authorization", "Bearer " + key}, headers...)...))
}

func (r *running) postAs(key string, body api.GradeRequest, headers ...string) response {
	r.t.Helper()
	return r.with(key, http.MethodPost, "/v1/grades", body, headers...)
}

func TestAnOpenServiceWantsAKeyAsSoonAsThereIsOne(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	r := serve(t, settings(nil, v.redis.URL()))
	open := r.post(asking(answer(t))).graded(grading.Miss)
	clear, id := v.key("acme", access.Limits{})
	until(t, "a key is wanted", func() bool { return r.get("/v1/sets").status == http.StatusUnauthorized })
	r.log.says(t, `"keys":"none"`, 1)
	r.log.says(t, "every request needs one from now on", 1)
	r.postAs(clear, asking(answer(t))).graded(grading.Miss)
	r.with(clear, http.MethodGet, "/v1/grades/"+*open.ID, nil).refused(api.UnknownGrade)

	_, err := v.store.RevokeKey(t.Context(), id)
	require.NoError(t, err)
	again := serve(t, settings(nil, v.redis.URL()))
	again.get("/v1/sets").refused(api.KeyNeeded)
	again.log.says(t, `"keys":"needed"`, 1)
	until(t, "the key is revoked", func() bool { return r.with(clear, http.MethodGet, "/v1/sets", nil).status == http.StatusUnauthorized })
	r.get("/v1/sets").refused(api.KeyNeeded)
}

// Fault 69, P18.
func TestARevokedKeyStopsWorkingEverywhereWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	clear, id := v.key("acme", access.Limits{})
	other, _ := v.key("rival", access.Limits{})
	services := []*running{v.serve(nil, clear, other), v.serve(nil, clear, other)}
	body := asking(answer(t))
	for _, r := range services {
		require.Equal(t, http.StatusOK, r.postAs(clear, body).status)
	}
	_, err := v.store.RevokeKey(t.Context(), id)
	require.NoError(t, err)
	revoked := time.Now()
	var wg sync.WaitGroup
	for _, r := range services {
		wg.Go(func() {
			for r.postAs(clear, body).status == http.StatusOK { // under load
				if !assert.Less(t, time.Since(revoked), 5*time.Second) {
					return
				}
			}
			r.postAs(clear, body).refused(api.KeyNeeded)
			r.postAs(other, body)
		})
	}
	wg.Wait()
	require.Less(t, time.Since(revoked), 5*time.Second)
}

func TestWhileRedisIsAwayKnownKeysGoOn(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	known, _ := v.key("acme", access.Limits{})
	unseen, _ := v.key("acme", access.Limits{})
	r := v.serve(nil, known, unseen)
	r.postAs(known, asking(answer(t))).graded(grading.Miss)
	v.redis.Kill9()
	for i := range 10 {
		r.postAs(known, asking(answer(t, fmt.Sprint("Number ", i)))).graded(grading.Miss)
	}
	refused := r.postAs(unseen, asking(answer(t)))
	refused.refused(api.KeysUnavailable)
	require.Positive(t, refused.retryAfter())
	r.with("no-key-of-ours", http.MethodGet, "/v1/sets", nil).refused(api.KeyNeeded)
	v.redis.Restart(t)
	until(t, "the other key is known", func() bool { return r.with(unseen, http.MethodGet, "/v1/sets", nil).status == http.StatusOK })
}

func TestBeyondLoopbackAServiceKnowsThatItWantsAKey(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	cfg := settings(nil, v.redis.URL())
	cfg.Addr = "0.0.0.0:0"
	refuses := func(cfg config.Config) error {
		a, err := app.New(t.Context(), &cfg, app.Options{Logger: slog.New(slog.DiscardHandler), RedisBudget: 100 * time.Millisecond})
		require.NoError(t, err)
		return a.Run(t.Context())
	}
	err := refuses(cfg)
	require.ErrorIs(t, err, app.ErrSetting)
	require.ErrorContains(t, err, "gradus keys create")

	clear, _ := v.key("acme", access.Limits{})
	r := serve(t, cfg) // on loopback all the same: what counts is what it was told
	r.get("/v1/sets").refused(api.KeyNeeded)
	require.Equal(t, http.StatusOK, r.with(clear, http.MethodGet, "/v1/sets", nil).status)

	v.redis.Kill9()
	err = refuses(cfg)
	require.ErrorIs(t, err, app.ErrSetting)
	require.ErrorContains(t, err, "GRADUS_REQUIRE_KEYS")
	open := serve(t, settings(nil, v.redis.URL()))
	require.Equal(t, http.StatusOK, open.get("/v1/sets").status, "on loopback it serves, and says what that means")
	open.log.says(t, "open until Redis can say", 1)
	cfg.RequireKeys = true
	sure := serve(t, cfg)
	sure.get("/v1/sets").refused(api.KeyNeeded)
	sure.with(clear, http.MethodGet, "/v1/sets", nil).refused(api.KeysUnavailable)
}

// The promise is that a hit in memory asks Redis nothing: of what is done for a
// request its trace tells. What is left are leases of requests by the dozen.
func TestAHitInMemoryAsksRedisNothing(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	clear, _ := v.key("acme", access.Limits{Rate: 600, InFlight: 32, DailyTokens: 1_000_000})
	got := &collected{names: make(map[string]bool)}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	cfg := settings(nil, v.redis.URL())
	cfg.RequireKeys, cfg.OTLPEndpoint = true, receiver.URL
	r := serve(t, cfg)
	body := asking(answer(t))
	r.postAs(clear, body).graded(grading.Miss)
	const hits = 300
	for range hits {
		r.postAs(clear, body).graded(grading.Hit)
	}
	r.stop() // sends what is waiting

	got.mu.Lock()
	defer got.mu.Unlock()
	hit, asked := make(map[string]bool), make(map[string]int)
	for _, s := range got.spans {
		if s.GetName() == "POST /v1/grades" && attributes(s)["gradus.cache"] == string(grading.Hit) {
			hit[string(s.GetTraceId())] = true
		}
	}
	require.Len(t, hit, hits)
	total := 0
	for _, s := range got.spans {
		if hit[string(s.GetTraceId())] && s.GetKind() == tracev1.Span_SPAN_KIND_CLIENT {
			asked[s.GetName()]++
			total++
		}
	}
	t.Logf("%d hits, asked of Redis: %v", hits, asked)
	require.Less(t, total, hits/10)
}

func TestTwoProcessesTogetherKeepToTheRate(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	services := []*running{v.serve(nil), v.serve(nil)}
	for { // until nothing of it falls into another minute
		clear, _ := v.key("acme", access.Limits{Rate: 100})
		minute := time.Now().Truncate(time.Minute)
		var mu sync.Mutex
		got := map[int]int{}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 50 {
					status := services[i%2].with(clear, http.MethodGet, "/v1/sets", nil).status
					mu.Lock()
					got[status]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if time.Now().Truncate(time.Minute).Equal(minute) {
			require.Equal(t, map[int]int{200: 100, 429: 100}, got)
			return
		}
	}
}

// Faults 43 to 45, P5: 50 tries on two processes make one model call.
func TestTriesWithOneIdempotencyKeyMakeOneGrade(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	acme, _ := v.key("acme", access.Limits{})
	rival, _ := v.key("rival", access.Limits{})
	model := llmtest.New(t, always(generous))
	services := []*running{v.serve(model, acme, rival), v.serve(model, acme, rival)}
	body := asking(answer(t))
	const once = "Idempotency-Key"
	// A fresh grade each time, but for the key: the cache has no part in this.
	try := func(r *running, key string, body api.GradeRequest) response {
		return r.postAs(key, body, once, "order-1", "Cache-Control", "no-cache")
	}
	var mu sync.Mutex
	bodies := map[string]int{}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			r := try(services[i%2], acme, body)
			if r.status == http.StatusConflict {
				r.refused(api.IdempotencyInProgress)
				require.Equal(t, 1, r.retryAfter())
				return
			}
			require.Equal(t, http.StatusOK, r.status, "%s", r.body)
			mu.Lock()
			defer mu.Unlock()
			bodies[string(r.body)]++
		})
	}
	wg.Wait()
	require.Len(t, bodies, 1)
	require.Equal(t, 1, model.Calls())
	first := slices.Collect(maps.Keys(bodies))[0]
	for _, r := range services {
		again := try(r, acme, body)
		require.Equal(t, first, string(again.body))
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		try(r, acme, asking(answer(t, "!"))).refused(api.IdempotencyKeyReused)
	}
	require.Equal(t, 1, model.Calls())
	require.Empty(t, try(services[0], rival, body).header.Get("Idempotency-Replayed"))
	require.Equal(t, 2, model.Calls())

	// Whoever forgets a grade forgets what would be repeated of it.
	var g api.Grade
	require.NoError(t, json.Unmarshal([]byte(first), &g))
	require.Equal(t, http.StatusNoContent, services[1].with(acme, http.MethodDelete, "/v1/grades/"+*g.ID, nil).status)
	client := v.redis.Client(t)
	names, err := client.Keys(t.Context(), "gradus:once:acme:*").Result()
	require.NoError(t, err)
	require.Empty(t, names)
	names, err = client.Keys(t.Context(), "gradus:once:rival:*").Result()
	require.NoError(t, err)
	require.Len(t, names, 1)
}

func TestIdempotencyKeysWorkWithoutARedis(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(nil, ""))
	first := r.post(asking(answer(t)), "Idempotency-Key", "order-1", "Cache-Control", "no-cache")
	first.graded(grading.Miss)
	again := r.post(asking(answer(t)), "Idempotency-Key", "order-1", "Cache-Control", "no-cache")
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
}

// subject makes something of a tenant and returns its id.
type subject func(r *running, key string) string

// TestNothingOfOneTenantShowsToAnother is API1:2023 (ASVS 8.2.2, 8.4.1): of
// every operation on something with an id, another tenant gets the very answer
// that an id nobody has gets. A new operation has to say here what it is on.
func TestNothingOfOneTenantShowsToAnother(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	owner, _ := v.key("acme", access.Limits{})
	stranger, _ := v.key("rival", access.Limits{})
	r := v.serve(nil, owner, stranger)
	aGrade := func(r *running, key string) string { return *r.postAs(key, asking(answer(t))).graded(grading.Miss).ID }
	aBatch := func(r *running, key string) string {
		body := api.BatchRequest{Items: []api.BatchItem{{ID: "one", Question: onCall(), Answer: answer(t, "Of a batch.")}}}
		made := r.with(key, http.MethodPost, "/v1/batches", body)
		require.Equal(t, http.StatusAccepted, made.status, "%s", made.body)
		var b api.Batch
		require.NoError(t, json.Unmarshal(made.body, &b))
		r.with(key, http.MethodGet, "/v1/batches/"+b.ID+"/results?wait=1", nil)
		return b.ID
	}
	// By path, up to the id: what to make, and an id of its form that nobody has.
	subjects := map[string]struct {
		make    subject
		unknown string
	}{
		"/v1/grades/":  {aGrade, "gr_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		"/v1/batches/": {aBatch, "ba_aaaaaaaaaaaaaaaaaaaa"},
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(r.get("/openapi.json").body, &document))
	checked := 0
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		before, after, found := strings.Cut(path, "{id}")
		if !found {
			continue
		}
		s, known := subjects[before]
		require.True(t, known, "%s: say in this test how a tenant comes by one", path)
		for method := range document.Paths[path] {
			method = strings.ToUpper(method)
			id := s.make(r, owner)
			ask := func(key, id string) (int, http.Header, string) {
				resp := r.with(key, method, before+id+after, nil, "X-Request-Id", "same")
				resp.header.Del("Date")
				resp.header.Del("Ratelimit") // counts down
				return resp.status, resp.header, strings.ReplaceAll(string(resp.body), id, "ID")
			}
			status, header, body := ask(stranger, id)
			wantStatus, wantHeader, wantBody := ask(stranger, s.unknown)
			require.Equal(t, wantStatus, status, "%s %s", method, path)
			require.Equal(t, wantHeader, header, "%s %s", method, path)
			require.Equal(t, wantBody, body, "%s %s", method, path)
			if method == http.MethodGet {
				require.Equal(t, http.StatusNotFound, status)
			}
			require.Equal(t, http.StatusOK, r.with(owner, http.MethodGet, before+id, nil).status, "%s %s by a stranger has done nothing", method, path)
			checked++
			r.with(owner, http.MethodDelete, before+id, nil) // the next one is made anew
		}
	}
	require.GreaterOrEqual(t, checked, 2)

	// API1:2023 again, by way of the cache (fault 60): no hit on another's grade.
	r.postAs(owner, asking(answer(t, "Shared."))).graded(grading.Miss)
	r.postAs(stranger, asking(answer(t, "Shared."))).graded(grading.Miss)
}

// API2:2023: a key is in no log and in no problem, whatever is wrong with it.
func TestKeysAreNotRepeated(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	clear, id := v.key("acme", access.Limits{})
	broken := clear[:len(clear)-1] + "-"
	r := v.serve(nil, clear, broken)
	require.Equal(t, http.StatusOK, r.with(clear, http.MethodGet, "/v1/sets", nil).status)
	require.Contains(t, string(r.log.bytes()), id, "the log says which key it was")
	stranger, _ := access.New()
	for _, key := range []string{broken, stranger, clear + "x"} {
		refused := r.with(key, http.MethodGet, "/v1/sets", nil)
		refused.refused(api.KeyNeeded)
		require.NotContains(t, string(refused.body), key)
	}
	require.NotContains(t, string(r.log.bytes()), stranger)
	require.NotContains(t, string(r.with(clear, http.MethodGet, "/metrics", nil).body), id, "nor who asks in the metrics")
}

// Fault 70, P11 and P19: a tenant that asks for far more than its share is told
// so, what was accepted of it is graded, and another tenant notices nothing.
func TestATenantThatAsksForTooMuchKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	greedy, _ := v.key("greedy", access.Limits{InFlight: 4})
	modest, _ := v.key("modest", access.Limits{})
	model := llmtest.New(t, always(llmtest.Slow(20*time.Millisecond, generous)))
	services := []*running{v.serve(model, greedy, modest), v.serve(model, greedy, modest)}
	ctx, enough := context.WithCancel(t.Context())
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := services[i%2].postAs(greedy, asking(answer(t, fmt.Sprint("Greed ", i, " ", n))))
				if r.status != http.StatusOK {
					r.refused(api.TooManyInFlight)
					require.Positive(t, r.retryAfter())
				}
				mu.Lock()
				got[r.status]++
				mu.Unlock()
			}
		})
	}
	for n := range 20 {
		services[n%2].postAs(modest, asking(answer(t, fmt.Sprint("Modest ", n)))).graded(grading.Miss)
	}
	enough()
	wg.Wait()
	require.Greater(t, got[http.StatusTooManyRequests], 20)
	require.Greater(t, got[http.StatusOK], 8, "its share it gets")
	require.Equal(t, got[http.StatusOK]+20, model.Calls())
}
