package app_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

const (
	redisSkipped = "gradus_redis_skipped"
	redisFaults  = "gradus_redis_faults_total"
)

// awaitReady waits until /readyz says so.
func awaitReady(t *testing.T, r *running, want api.ReadyState) {
	t.Helper()
	until(t, fmt.Sprint("/readyz is ", want), func() bool {
		_, found := r.ready()
		return found.Status == want
	})
}

func TestGradingGoesOnWhileRedisIsDead(t *testing.T) {
	t.Parallel()
	redis := storetest.Start(t)
	model := llmtest.New(t, always(generous))
	r := serve(t, settings(model, redis.URL()))
	awaitReady(t, r, api.Ready)
	kept := asking(answer(t, "Kept."))
	id := *r.post(kept).graded(grading.Miss).ID
	r.post(kept).graded(grading.Hit)
	require.Zero(t, r.metric(redisSkipped))
	require.Zero(t, r.metric(redisFaults))

	redis.Kill9()
	var made []api.GradeRequest
	for i := range 6 {
		made = append(made, asking(answer(t, fmt.Sprint("Number ", i))))
		require.InDelta(t, 100, *r.post(made[i]).graded(grading.Miss).Score, 0)
		require.InDelta(t, 100, *r.post(made[i]).graded(grading.Hit).Score, 0, "from memory")
	}
	r.post(kept).graded(grading.Hit)
	status, found := r.ready()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, api.Unready, found.Status)
	require.Equal(t, api.Check{Name: "store", Status: api.Unready, Detail: "it cannot be reached"}, check(found, "store"))
	require.InDelta(t, 1, r.metric(redisSkipped), 0)
	require.Positive(t, r.metric(redisFaults))
	require.Equal(t, http.StatusOK, r.get("/healthz").status, "it lives")
	r.forget("/v1/grades/" + id).refused(api.StoreUnavailable)
	unknown := r.get("/v1/grades/gr_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	unknown.refused(api.StoreUnavailable)
	require.Positive(t, unknown.retryAfter(), "nobody can say that it is not kept")

	redis.Restart(t)
	awaitReady(t, r, api.Ready)
	until(t, "Redis is asked again", func() bool { return r.metric(redisSkipped) == 0 })
	calls := model.Calls()
	again := asking(answer(t, "After."))
	r.post(again).graded(grading.Miss)
	require.Equal(t, calls+1, model.Calls())

	other := serve(t, settings(model, redis.URL()))
	other.post(again).graded(grading.Hit)
	other.post(kept).graded(grading.Hit)
}

func TestARedisThatHangsCostsLittleTime(t *testing.T) {
	t.Parallel()
	redis := storetest.Start(t)
	model := llmtest.New(t, always(generous))
	r := serveWith(t, settings(model, redis.URL()), app.Options{}) // as impatient as it really is
	awaitReady(t, r, api.Ready)

	redis.Pause()
	t.Cleanup(redis.Resume)
	for i := range 5 {
		began := time.Now()
		r.post(asking(answer(t, fmt.Sprint("Number ", i)))).graded(grading.Miss)
		require.Less(t, time.Since(began), 5*time.Second, "a few budgets of a quarter of a second")
	}
	status, found := r.ready()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "it did not answer in time", check(found, "store").Detail)
	require.InDelta(t, 1, r.metric(redisSkipped), 0)

	redis.Resume()
	awaitReady(t, r, api.Ready)
	until(t, "Redis is asked again", func() bool { return r.metric(redisSkipped) == 0 })
}

func TestWithoutTheCacheAloneTheServiceIsDegraded(t *testing.T) {
	t.Parallel()
	cache := storetest.Start(t, "--appendonly", "no", "--maxmemory-policy", "allkeys-lfu")
	cfg := settings(llmtest.New(t, always(generous)), aRedis(t))
	cfg.RedisCacheURL = config.Secret(cache.URL())
	r := serve(t, cfg)
	awaitReady(t, r, api.Ready)
	r.post(asking(answer(t, "Before."))).graded(grading.Miss)

	cache.Kill9()
	awaitReady(t, r, api.Degraded)
	status, found := r.ready()
	require.Equal(t, http.StatusOK, status, "it serves")
	require.Equal(t, api.Ready, check(found, "store").Status)
	require.Equal(t, api.Degraded, check(found, "cache").Status)
	for i := range 5 {
		r.post(asking(answer(t, fmt.Sprint("Number ", i)))).graded(grading.Miss)
	}

	cache.Restart(t)
	until(t, "the cache is used again", func() bool { return r.metric(redisSkipped) == 0 })
	awaitReady(t, r, api.Ready)
}

func TestARedisThatIsDeadAtTheStartIsWaitedForWhileServing(t *testing.T) {
	t.Parallel()
	redis := storetest.Start(t)
	redis.Kill9()
	r := serve(t, settings(nil, redis.URL()))
	g := r.post(asking(answer(t))).graded(grading.Miss)
	require.Equal(t, "lexical", g.Provenance.Judge)
	status, found := r.ready()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, api.Unready, check(found, "store").Status)
	r.log.says(t, "it cannot be reached", 1)

	redis.Restart(t)
	awaitReady(t, r, api.Ready)
	until(t, "Redis is asked", func() bool { return r.metric(redisSkipped) == 0 })
	r.post(asking(answer(t, "Later."))).graded(grading.Miss)
}

func TestARedisThatLosesThingsIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	redis := storetest.Start(t, "--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
	r := serve(t, settings(nil, redis.URL()))
	r.log.says(t, "set maxmemory-policy noeviction", 1)
	status, found := r.ready()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, api.Degraded, found.Status)
	require.Contains(t, check(found, "store").Detail, "set appendonly yes")
}
