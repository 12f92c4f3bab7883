package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/once"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

var aTry = once.Request{Tenant: "acme", Route: "POST /v1/grades", Key: "k", Fingerprint: "print"}

// remembers are the ways a store can be set up that remember requests.
var remembers = map[string]func(testing.TB) store.Config{
	"embedded": func(testing.TB) store.Config { return store.Config{} },
	"redis":    onRedis,
	"redis and a cache redis": func(t testing.TB) store.Config {
		return store.Config{URL: storetest.Shared(t).URL(), CacheURL: storetest.Shared(t).TCPURL()}
	},
}

func eachThatRemembers(t *testing.T, test func(*testing.T, *store.Store)) {
	for name, config := range remembers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, config(t)))
		})
	}
}

// begin claims a request that must be free.
func begin(t *testing.T, s *store.Store, r once.Request) once.Claim {
	t.Helper()
	claim, reply, err := s.BeginOnce(t.Context(), r)
	require.NoError(t, err)
	require.Nil(t, reply)
	require.NotNil(t, claim)
	return claim
}

func TestARequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	eachThatRemembers(t, func(t *testing.T, s *store.Store) {
		claim := begin(t, s, aTry)
		_, _, err := s.BeginOnce(t.Context(), aTry)
		require.ErrorIs(t, err, once.ErrRunning)
		other := aTry
		other.Fingerprint = "another"
		_, _, err = s.BeginOnce(t.Context(), other)
		require.ErrorIs(t, err, once.ErrReused)

		reply := once.Reply{Subject: "gr_a", Cache: "miss", Body: []byte(`{"quote":"…"}`)}
		require.NoError(t, claim.Keep(t.Context(), reply))
		claim.Release(t.Context())
		_, again, err := s.BeginOnce(t.Context(), aTry)
		require.NoError(t, err)
		require.Equal(t, &once.Reply{Cache: "miss", Body: reply.Body}, again)
		_, _, err = s.BeginOnce(t.Context(), other)
		require.ErrorIs(t, err, once.ErrReused)

		for _, apart := range []once.Request{{Tenant: "rival", Route: aTry.Route, Key: "k", Fingerprint: "x"}, {Tenant: "acme", Route: "POST /v1/batches", Key: "k", Fingerprint: "x"}, {Tenant: "acme", Route: aTry.Route, Key: "k2", Fingerprint: "x"}} {
			begin(t, s, apart).Release(t.Context())
		}
	})
}

func TestWhatIsReleasedWithoutAReplyIsAnybodys(t *testing.T) {
	t.Parallel()
	eachThatRemembers(t, func(t *testing.T, s *store.Store) {
		late := begin(t, s, aTry)
		late.Release(t.Context())
		other := aTry
		other.Fingerprint = "another"
		claim := begin(t, s, other)
		late.Release(t.Context())
		require.NoError(t, late.Keep(t.Context(), once.Reply{Body: []byte("late")}))
		require.NoError(t, late.Drop(t.Context()))
		_, _, err := s.BeginOnce(t.Context(), other)
		require.ErrorIs(t, err, once.ErrRunning, "whoever let go cannot take it back")
		require.NoError(t, claim.Keep(t.Context(), once.Reply{Body: []byte("kept")}))
		require.NoError(t, claim.Drop(t.Context()))
		begin(t, s, aTry).Release(t.Context())
	})
}

// API1:2023 asks that erasing be complete; a kept reply quotes the answer.
func TestForgettingAGradeForgetsTheRepliesThatShowIt(t *testing.T) {
	t.Parallel()
	eachThatRemembers(t, func(t *testing.T, s *store.Store) {
		tries := []once.Request{aTry, {Tenant: "acme", Route: aTry.Route, Key: "k2", Fingerprint: "print"}}
		for _, r := range append(tries, once.Request{Tenant: "rival", Route: aTry.Route, Key: "k", Fingerprint: "print"}) {
			claim := begin(t, s, r)
			require.NoError(t, claim.Keep(t.Context(), once.Reply{Subject: "gr_a", Body: []byte("x")}))
		}
		require.NoError(t, s.Forget(t.Context(), grading.Key{Tenant: "acme", ID: "gr_a"}))
		for _, r := range tries {
			begin(t, s, r).Release(t.Context())
		}
		_, reply, err := s.BeginOnce(t.Context(), once.Request{Tenant: "rival", Route: aTry.Route, Key: "k", Fingerprint: "print"})
		require.NoError(t, err)
		require.NotNil(t, reply, "another tenant's grade of the same id is another grade")
	})
}

// Fault 43, with two processes.
func TestOfManyProcessesOneAnswers(t *testing.T) {
	t.Parallel()
	cfg := store.Config{URL: storetest.Shared(t).URL(), Prefix: storetest.Prefix(t)}
	stores := []*store.Store{open(t, cfg), open(t, cfg)}
	var began atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			claim, _, err := stores[i%2].BeginOnce(t.Context(), aTry)
			if claim != nil {
				began.Add(1)
				return
			}
			require.ErrorIs(t, err, once.ErrRunning)
		})
	}
	wg.Wait()
	require.Equal(t, int32(1), began.Load())
}

func TestAClaimIsRenewedAndRunsOutWithItsProcess(t *testing.T) {
	t.Parallel()
	const lease = 60 * time.Millisecond
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	cfg := store.Config{URL: redis.URL(), Prefix: prefix, Lease: lease}
	s, other := open(t, cfg), open(t, cfg)
	claim := begin(t, s, aTry)
	client := redis.Client(t)
	name := prefix + "once:acme:" + aTry.Name()
	renewed := 0
	last := lease
	await(t, func() bool { // its time to live goes up again and again
		left, err := client.PTTL(t.Context(), name).Result()
		require.NoError(t, err)
		require.Positive(t, left, "the claim ran out although its process lives")
		if left > last {
			renewed++
		}
		last = left
		return renewed >= 5
	}, "the claim should be renewed")
	require.NoError(t, s.Close()) // as far as renewing goes, this is death
	var next once.Claim
	await(t, func() bool {
		next, _, _ = other.BeginOnce(t.Context(), aTry)
		return next != nil
	}, "the claim of a dead process should run out")
	next.Release(t.Context())
	_ = claim
}

func TestWhatIsKeptOfARequestHoldsNeitherKeyNorAnswerAndExpires(t *testing.T) {
	t.Parallel()
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	s := open(t, store.Config{URL: redis.URL(), Prefix: prefix})
	r := aTry
	r.Key = "order-4711"
	print := once.New()
	print.Write([]byte("the text of an answer"))
	r.Fingerprint = once.Sum(print)
	claim := begin(t, s, r)
	require.NoError(t, claim.Keep(t.Context(), once.Reply{Subject: "gr_a", Cache: "hit", Body: []byte("{}")}))
	client := redis.Client(t)
	names, err := client.Keys(t.Context(), prefix+"*").Result()
	require.NoError(t, err)
	require.Len(t, names, 2)
	for _, name := range names {
		ttl, err := client.TTL(t.Context(), name).Result()
		require.NoError(t, err)
		require.InDelta(t, once.Keep, ttl, float64(time.Minute), name)
	}
	fields, err := client.HGetAll(t.Context(), prefix+"once:acme:"+r.Name()).Result()
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(names, fields), "4711")
	require.NotContains(t, fmt.Sprint(names, fields), "answer")
}

func TestAStoreInsideTheProcessRemembersOnlySoMany(t *testing.T) {
	t.Parallel()
	s := open(t, store.Config{})
	reply := once.Reply{Body: []byte(strings.Repeat("x", 100))}
	for i := range 4096 + 10 {
		r := aTry
		r.Key = fmt.Sprint(i)
		claim := begin(t, s, r)
		require.NoError(t, claim.Keep(t.Context(), reply))
	}
	forgotten := aTry
	forgotten.Key = "9"
	begin(t, s, forgotten).Release(t.Context())
	kept := aTry
	kept.Key = "4105"
	_, found, err := s.BeginOnce(t.Context(), kept)
	require.NoError(t, err)
	require.NotNil(t, found)
}

func TestWithoutAStoreNoRequestIsPromisedToHappenOnce(t *testing.T) {
	t.Parallel()
	_, _, err := open(t, store.Config{MemoryOnly: true}).BeginOnce(t.Context(), aTry)
	require.ErrorIs(t, err, store.ErrUnavailable)
	redis := storetest.Start(t)
	s := open(t, store.Config{URL: redis.URL(), Prefix: storetest.Prefix(t)})
	claim := begin(t, s, aTry)
	redis.Kill9()
	_, _, err = s.BeginOnce(context.Background(), aTry)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorIs(t, claim.Keep(t.Context(), once.Reply{}), store.ErrUnavailable)
	require.ErrorIs(t, claim.Drop(t.Context()), store.ErrUnavailable)
	claim.Release(t.Context())
}
