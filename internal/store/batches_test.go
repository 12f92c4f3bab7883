package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// batchBackends are where batches may be kept.
var batchBackends = map[string]func(testing.TB) store.Config{
	"embedded": func(testing.TB) store.Config { return store.Config{} },
	"redis":    onRedis,
	"redis beside a cache redis": func(t testing.TB) store.Config {
		return store.Config{URL: storetest.Shared(t).TCPURL(), CacheURL: storetest.Shared(t).URL()}
	},
}

func TestBatchesKeepThePromises(t *testing.T) {
	for name, config := range batchBackends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batchtest.Run(t, func(t *testing.T) batchtest.Subject {
				b := open(t, config(t)).Batches()
				return batchtest.Subject{Store: b, Pass: func(d time.Duration) {
					require.NoError(t, b.Pass(context.WithoutCancel(t.Context()), d))
				}}
			})
		})
	}
}

// eachBatchStore runs a test on every store of batches; clients see what is
// kept, whoever keeps it.
func eachBatchStore(t *testing.T, test func(*testing.T, *store.Batches, *redis.Client)) {
	for name, config := range batchBackends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.Prefix = storetest.Prefix(t)
			b := open(t, cfg).Batches()
			test(t, b, b.Client())
		})
	}
}

// submission is a batch of chunks of two items each.
func submission(tenant, id string, chunks int) (batch.Batch, []batch.Chunk) {
	rec := batch.Batch{Key: batch.Key{Tenant: tenant, ID: id}, Options: batch.Options{Judge: "lexical"}, Chunks: chunks, Total: 2 * chunks}
	var list []batch.Chunk
	for i := range chunks {
		list = append(list, batch.Chunk{Index: i, Question: []byte(`{"q":"what was asked"}`), Items: []batch.Item{
			{Index: 2 * i, ID: fmt.Sprint("first-", i), Answer: fmt.Sprint("secret words ", i)},
			{Index: 2*i + 1, ID: fmt.Sprint("second-", i), Answer: strings.Repeat("secret words again ", 20)},
		}})
	}
	return rec, list
}

// submit stages and commits.
func submit(t tester, b *store.Batches, tenant, id string, chunks int) batch.Batch {
	t.Helper()
	rec, list := submission(tenant, id, chunks)
	for _, c := range list {
		require.NoError(t, b.Stage(context.Background(), rec.Key, c))
	}
	_, err := b.Commit(context.Background(), rec, nil, "")
	require.NoError(t, err)
	return rec
}

func take(t tester, b *store.Batches, rec batch.Batch, chunk int) *batch.Claim {
	t.Helper()
	states, err := b.Chunks(context.Background(), rec.Key)
	require.NoError(t, err)
	claim, err := b.Claim(context.Background(), states[chunk].Ref, "w")
	require.NoError(t, err)
	return claim
}

func resultOf(item batch.Item) batch.Result {
	cost := .1 // no binary fraction
	return batch.Result{Index: item.Index, ID: item.ID, Status: batch.RowGraded,
		Grade: []byte(`{"secret": "words <b>" , "n":1.0}`), GradeID: "gr_secret",
		Spent: judge.Usage{Calls: 1, PromptTokens: 10, CostUSD: &cost}}
}

func resultsOf(claim *batch.Claim) (results []batch.Result) {
	for _, item := range claim.Chunk.Items {
		results = append(results, resultOf(item))
	}
	return results
}

func TestWhatIsStagedExpiresAndWhatIsCommittedLasts(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, c *redis.Client) {
		ctx := t.Context()
		ttls := func() (all []time.Duration) {
			for _, key := range c.Keys(ctx, b.Prefix()+"*acme:ba_*").Val() {
				all = append(all, c.PTTL(ctx, key).Val())
			}
			return all
		}
		rec, chunks := submission("acme", "ba_1", 2)
		for _, chunk := range chunks {
			require.NoError(t, b.Stage(ctx, rec.Key, chunk))
		}
		require.Len(t, ttls(), 3)
		for _, ttl := range ttls() {
			require.InDelta(t, time.Hour, ttl, float64(time.Minute))
		}
		_, err := b.Commit(ctx, rec, nil, "")
		require.NoError(t, err)
		require.Len(t, ttls(), 4)
		for _, ttl := range ttls() {
			require.EqualValues(t, -1, ttl, "it lasts")
		}
		require.Error(t, b.Stage(ctx, rec.Key, chunks[0]), "a batch that is committed does not change")
		for i := range chunks {
			claim := take(t, b, rec, 0)
			_, err := b.Complete(ctx, claim, resultsOf(claim), true)
			require.NoError(t, err)
			if i == 0 {
				require.Len(t, ttls(), 4)
			}
		}
		require.Len(t, ttls(), 2, "the answers are gone with the last result")
		for _, ttl := range ttls() {
			require.InDelta(t, 30*24*time.Hour, ttl, float64(time.Minute))
		}
	})
}

func TestAnswersGoWithTheirChunk(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, c *redis.Client) {
		rec := submit(t, b, "acme", "ba_1", 2)
		claim := take(t, b, rec, 0)
		before := c.HLen(t.Context(), b.Prefix()+"input:acme:ba_1").Val()
		_, err := b.Complete(t.Context(), claim, resultsOf(claim), true)
		require.NoError(t, err)
		require.Equal(t, before-1, c.HLen(t.Context(), b.Prefix()+"input:acme:ba_1").Val())
		_, err = b.Cancel(t.Context(), rec.Key)
		require.NoError(t, err)
		require.Zero(t, c.Exists(t.Context(), b.Prefix()+"input:acme:ba_1", b.Prefix()+"chunks:acme:ba_1").Val())
	})
}

func TestPurgeLeavesNothing(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, c *redis.Client) {
		ctx := t.Context()
		rec, chunks := submission("tenant:of 100%", "ba_purged", 3)
		rec.Options.WebhookURL = "https://example.org/hook"
		for _, chunk := range chunks {
			require.NoError(t, b.Stage(ctx, rec.Key, chunk))
		}
		r := batch.Reservation{Tenant: rec.Tenant, Key: "a key that somebody chose", Token: "t"}
		_, err := b.Reserve(ctx, r)
		require.NoError(t, err)
		_, err = b.Commit(ctx, rec, &r, "print")
		require.NoError(t, err)
		claim := take(t, b, rec, 0)
		_, err = b.Complete(ctx, claim, resultsOf(claim), true)
		require.NoError(t, err)
		claim = take(t, b, rec, 0)
		_, err = b.Complete(ctx, claim, resultsOf(claim)[:1], false)
		require.NoError(t, err)
		_, err = b.Cancel(ctx, rec.Key)
		require.NoError(t, err)
		require.NotEmpty(t, everything(t, c, b.Prefix()))
		require.NoError(t, b.Purge(ctx, rec.Key))
		for key, text := range everything(t, c, b.Prefix()) {
			for _, trace := range []string{"purged", "tenant", "secret", "first-", "asked", "gr_", "somebody", "print"} {
				require.NotContains(t, key+" "+text, trace)
			}
		}
	})
}

// everything is all that is kept under a prefix, as far as it is text.
func everything(t *testing.T, c *redis.Client, prefix string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	ctx := t.Context()
	for _, key := range c.Keys(ctx, prefix+"*").Val() {
		switch kind := c.Type(ctx, key).Val(); kind {
		case "hash":
			all[key] = fmt.Sprint(c.HGetAll(ctx, key).Val())
		case "zset":
			all[key] = fmt.Sprint(c.ZRange(ctx, key, 0, -1).Val())
		case "string":
			all[key] = c.Get(ctx, key).Val()
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
	}
	return all
}

func TestNoTenantRunsIntoAnother(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, _ *redis.Client) {
		ctx := t.Context()
		one, two := submit(t, b, "a:b", "c", 1), submit(t, b, "a", "b:c", 1)
		three := submit(t, b, "a%3Ab", "c", 1)
		_, err := b.Cancel(ctx, two.Key)
		require.NoError(t, err)
		active, err := b.Active(ctx)
		require.NoError(t, err)
		require.Equal(t, []batch.Key{one.Key, three.Key}, active)
	})
}

func TestFiftySubmissionsWithOneKeyMakeOneBatch(t *testing.T) {
	t.Parallel()
	cfg := onRedis(t)
	cfg.Prefix = storetest.Prefix(t)
	stores := []*store.Batches{open(t, cfg).Batches(), open(t, cfg).Batches()}
	var made atomic.Int32
	var winner atomic.Value
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			b, ctx := stores[i%2], t.Context()
			r := batch.Reservation{Tenant: "acme", Key: "k", Token: fmt.Sprint("t", i)}
			// A client that is told to wait tries again.
			for {
				used, err := b.Reserve(ctx, r)
				if errors.Is(err, batch.ErrInProgress) {
					continue
				}
				if !assert.NoError(t, err) || used != nil {
					return
				}
				break
			}
			rec, chunks := submission("acme", fmt.Sprint("ba_", i), 1)
			assert.NoError(t, b.Stage(ctx, rec.Key, chunks[0]))
			used, err := b.Commit(ctx, rec, &r, "print")
			assert.NoError(t, err)
			if used == nil {
				made.Add(1)
				winner.Store(rec.ID)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, made.Load())
	active, err := stores[0].Active(t.Context())
	require.NoError(t, err)
	require.Equal(t, []batch.Key{{Tenant: "acme", ID: winner.Load().(string)}}, active)
	used, err := stores[1].Reserve(t.Context(), batch.Reservation{Tenant: "acme", Key: "k", Token: "later"})
	require.NoError(t, err)
	require.Equal(t, &batch.Used{Fingerprint: "print", BatchID: winner.Load().(string)}, used)
}

func TestDollarsAddUpWithoutTheErrorOfBinaryFractions(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, _ *redis.Client) {
		rec := submit(t, b, "acme", "ba_1", 15)
		var got batch.Batch
		for range 15 {
			claim := take(t, b, rec, 0)
			p, err := b.Complete(t.Context(), claim, resultsOf(claim), true)
			require.NoError(t, err)
			got = p.Batch
		}
		require.Equal(t, 3.0, *got.Spent.CostUSD, "thirty dimes")
	})
}

func TestAbsurdUsageDoesNotSpoilTheCounts(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, _ *redis.Client) {
		rec := submit(t, b, "acme", "ba_1", 2)
		for range 2 {
			claim := take(t, b, rec, 0)
			results := resultsOf(claim)
			huge := 1e300
			results[0].Spent = judge.Usage{Calls: -1, PromptTokens: 1<<63 - 1, CompletionTokens: -1 << 63, CostUSD: &huge}
			results[1].Saved = judge.Usage{Calls: 1<<63 - 1}
			_, err := b.Complete(t.Context(), claim, results, true)
			require.NoError(t, err)
		}
		got, err := b.Get(t.Context(), rec.Key)
		require.NoError(t, err)
		require.Equal(t, batch.Completed, got.Status)
		require.Equal(t, 4, got.Graded)
		require.Nil(t, got.Spent.CostUSD, "what cannot be is not known")
		require.GreaterOrEqual(t, got.Spent.PromptTokens, 0)
	})
}

func TestNothingOfAnAnswerIsLogged(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	var log syncBuffer
	b := open(t, store.Config{URL: server.URL(), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}).Batches()
	rec := submit(t, b, "acme", "ba_1", 1)
	c := server.Client(t)
	flip(t, c, b.Prefix()+"input:acme:ba_1", "0")
	claim := take(t, b, rec, 0)
	require.Contains(t, log.String(), "damaged")
	require.NoError(t, c.Set(t.Context(), b.Prefix()+"rows:acme:ba_1", "secret", 0).Err())
	_, err := b.Complete(t.Context(), claim, resultsOf(claim), true)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, log.String(), "secret")
}
