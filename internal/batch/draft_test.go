package batch_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

func (h *house) begin(options batch.Options, key string) *batch.Draft {
	h.Helper()
	d, err := h.service.Begin(h.Context(), tenant, options, key)
	require.NoError(h, err)
	return d
}

func (h *house) add(d *batch.Draft, n int, answer string) {
	h.Helper()
	for i := range n {
		require.NoError(h, d.Add(h.Context(), itemID(d.Total()), i, question("q"), answer+strconv.Itoa(i)))
	}
}

// chunks are those of a batch, claimed so that they can be looked into.
func (h *house) chunks(b *batch.Batch) []batch.Chunk {
	h.Helper()
	states, err := h.store.Chunks(h.Context(), b.Key)
	require.NoError(h, err)
	var chunks []batch.Chunk
	for _, state := range states {
		claim, err := h.store.Claim(h.Context(), state.Ref, "looking")
		require.NoError(h, err)
		chunks = append(chunks, claim.Chunk)
	}
	return chunks
}

func TestItemsOfAQuestionShareChunks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHouse(t)
		d, err := h.service.Begin(t.Context(), tenant, batch.Options{}, "")
		require.NoError(t, err)
		asked := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 120).Draw(t, "questions")
		for i, q := range asked {
			require.NoError(t, d.Add(t.Context(), itemID(i), i, question("q"+strconv.Itoa(q)), "answer "+strconv.Itoa(i)))
		}
		b, _, err := d.Commit(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, len(asked), b.Total)
		require.Equal(t, made, b.Made)
		require.Equal(t, "model", b.Options.Judge, "auto is resolved")

		states, err := h.store.Chunks(t.Context(), b.Key)
		require.NoError(t, err)
		seen := map[int]bool{}
		full := map[string]bool{}
		first := map[int]bool{}
		for _, state := range states {
			claim, err := h.store.Claim(t.Context(), state.Ref, "w")
			require.NoError(t, err)
			name := string(claim.Chunk.Question)
			if _, again := full[name]; !again {
				first[state.Ref.Chunk] = true
			}
			require.True(t, !func() bool { partial, again := full[name]; return again && !partial }(), "only the last chunk of a question may be short")
			full[name] = len(claim.Chunk.Items) == batch.ChunkItems
			last := -1
			for _, item := range claim.Chunk.Items {
				require.Contains(t, name, `"inline/q`+strconv.Itoa(asked[item.Index])+`"`)
				require.Equal(t, itemID(item.Index), item.ID)
				require.Equal(t, "answer "+strconv.Itoa(item.Index), item.Answer)
				require.Greater(t, item.Index, last)
				require.False(t, seen[item.Index])
				seen[item.Index], last = true, item.Index
			}
		}
		require.Len(t, seen, len(asked))
		given := h.queue.Given()
		require.Len(t, given, len(states))
		for i, ref := range given {
			require.Equal(t, i < len(first), first[ref.Chunk], "the first chunk of each question goes first")
		}
	})
}

// Fault 46.
func TestAnIDThatComesTwiceIsNamedWithItsFirstPlace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.begin(batch.Options{}, "")
	require.NoError(t, d.Add(t.Context(), "a", 3, question("q"), "x"))
	require.NoError(t, d.Add(t.Context(), "b", 4, question("q"), "x"))
	err := d.Add(t.Context(), "a", 9, question("other"), "y")
	var again *batch.DuplicateError
	require.ErrorAs(t, err, &again)
	require.Equal(t, batch.DuplicateError{ID: "a", First: 3}, *again)
	require.Equal(t, 2, d.Total())
	b, _, err := d.Commit(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, 2, b.Total)
}

func TestABatchHasItsLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.begin(batch.Options{}, "")
	_, _, err := d.Commit(t.Context(), "")
	require.ErrorIs(t, err, batch.ErrEmpty)
	_, _, err = d.Commit(t.Context(), "")
	require.Error(t, err, "the draft has ended")

	d = h.begin(batch.Options{}, "")
	h.add(d, batch.MaxItems, "a")
	require.ErrorIs(t, d.Add(t.Context(), "one-more", 0, question("q"), "x"), batch.ErrTooMany)
	b, _, err := d.Commit(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, batch.MaxItems, b.Total)
	require.Equal(t, batch.MaxItems/batch.ChunkItems, b.Chunks)
}

// Fault 73: what waits for its chunk to fill stays bounded, however many
// questions there are.
func TestADraftHoldsBackLittle(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.begin(batch.Options{}, "")
	long, most := strings.Repeat("word ", 4000), 0
	for i := range 3000 { // sixty megabytes of answers to a thousand questions
		require.NoError(t, d.Add(t.Context(), itemID(i), i, question("many-"+strconv.Itoa(i%1000)), long))
		most = max(most, d.Buffered())
	}
	require.Greater(t, most, 7<<20)
	require.Less(t, most, 9<<20)
	b, _, err := d.Commit(t.Context(), "")
	require.NoError(t, err)
	items := 0
	for _, c := range h.chunks(b) {
		items += len(c.Items)
	}
	require.Equal(t, 3000, items)
}

func TestWhatIsDiscardedLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.begin(batch.Options{}, "k")
	h.add(d, 40, "a")
	_, err := h.service.Begin(t.Context(), tenant, batch.Options{}, "k")
	require.ErrorIs(t, err, batch.ErrInProgress)
	d.Discard(t.Context())
	d.Discard(t.Context())
	require.Equal(t, 1, h.store.Calls("Discard"))
	_, _, err = d.Commit(t.Context(), "")
	require.Error(t, err)
	h.begin(batch.Options{}, "k").Discard(t.Context())
	active, err := h.store.Active(t.Context())
	require.NoError(t, err)
	require.Empty(t, active)
}

// Faults 43, 44 and 45, promise P5.
func TestAnIdempotencyKeyMakesOneBatch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	submit := func(tenant, print string) (*batch.Batch, bool, error) {
		d, err := h.service.Begin(t.Context(), tenant, batch.Options{}, "k")
		if err != nil {
			return nil, false, err
		}
		for i := range 20 {
			if err := d.Add(t.Context(), itemID(i), i, question("q"), "x"); err != nil {
				return nil, false, err
			}
		}
		return d.Commit(t.Context(), print)
	}
	var mu sync.Mutex
	ids := map[string]int{}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			b, _, err := submit(tenant, "p")
			if err != nil {
				assert.ErrorIs(t, err, batch.ErrInProgress)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[b.ID]++
		})
	}
	all.Wait()
	require.Len(t, ids, 1, "fifty at once make one batch")
	b, replayed, err := submit(tenant, "p")
	require.NoError(t, err)
	require.True(t, replayed)
	require.Contains(t, ids, b.ID)
	_, _, err = submit(tenant, "another body")
	require.ErrorIs(t, err, batch.ErrKeyReused)
	other, replayed, err := submit("another tenant", "p")
	require.NoError(t, err)
	require.False(t, replayed)
	require.NotContains(t, ids, other.ID)
}

func TestASlowUploadKeepsItsKey(t *testing.T) {
	bubble(t, func(h *house) {
		d := h.begin(batch.Options{}, "k")
		h.add(d, 1, "a")
		for range 10 {
			pass(time.Minute)
			_, err := h.service.Begin(h.Context(), tenant, batch.Options{}, "k")
			require.ErrorIs(h, err, batch.ErrInProgress)
		}
		_, replayed, err := d.Commit(h.Context(), "p")
		require.NoError(h, err)
		require.False(h, replayed)
		synctest.Wait() // nobody goes on renewing: the bubble would not end
	})
}

// Fault 2 seen from within: the reply to the commit is lost.
func TestACommitWhoseReplyIsLostIsFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lossy := &lossy{Store: h.store}
	service, err := batch.New(batch.Config{Store: lossy, Queue: h.queue, Kept: h.kept, Versions: versions, Log: silent})
	require.NoError(t, err)
	d, err := service.Begin(t.Context(), tenant, batch.Options{}, "k")
	require.NoError(t, err)
	h.add(d, 20, "a")
	b, replayed, err := d.Commit(t.Context(), "p")
	require.NoError(t, err)
	require.False(t, replayed)
	require.Equal(t, 20, b.Total)
	require.Len(t, h.queue.Given(), 2)

	lossy.down = true
	d, err = service.Begin(t.Context(), tenant, batch.Options{}, "")
	require.NoError(t, err)
	h.add(d, 20, "a")
	_, _, err = d.Commit(t.Context(), "p")
	require.ErrorIs(t, err, batchtest.ErrDown)
	require.Zero(t, h.store.Calls("Discard"), "what may be part of a batch is left alone")
}

// lossy commits and says that it did not.
type lossy struct {
	*batchtest.Store
	down bool
}

func (l *lossy) Commit(ctx context.Context, b batch.Batch, r *batch.Reservation, print string) (*batch.Used, error) {
	_, err := l.Store.Commit(ctx, b, r, print)
	return nil, errors.Join(err, batchtest.ErrDown)
}

func (l *lossy) Get(ctx context.Context, key batch.Key) (*batch.Batch, error) {
	if l.down {
		return nil, batchtest.ErrDown
	}
	return l.Store.Get(ctx, key)
}

func TestABatchThatMayNotBeTakenInIsRefusedFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*batch.Config)
		want   error
	}{
		"full": {func(c *batch.Config) {
			c.Admit = func(context.Context) (bool, error) { return false, batch.ErrStorageFull }
		}, batch.ErrStorageFull},
		"volatile": {func(c *batch.Config) {
			c.Admit = func(context.Context) (bool, error) { return false, batch.ErrNotDurable }
		}, batch.ErrNotDurable},
		"no model": {func(c *batch.Config) {
			c.Versions = func(string) (batch.Versions, error) { return batch.Versions{}, grading.ErrNoModel }
		}, grading.ErrNoModel},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			cfg := batch.Config{Store: h.store, Queue: h.queue, Kept: h.kept, Versions: versions, Log: silent}
			c.change(&cfg)
			service, err := batch.New(cfg)
			require.NoError(t, err)
			for range 2 { // the key is free again
				_, err = service.Begin(t.Context(), tenant, batch.Options{}, "k")
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

func TestAVolatileBatchSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	service, err := batch.New(batch.Config{Store: h.store, Queue: h.queue, Kept: h.kept, Versions: versions, Log: silent,
		Admit: func(context.Context) (bool, error) { return false, nil }})
	require.NoError(t, err)
	d, err := service.Begin(t.Context(), tenant, batch.Options{}, "")
	require.NoError(t, err)
	h.add(d, 1, "a")
	b, _, err := d.Commit(t.Context(), "")
	require.NoError(t, err)
	require.False(t, b.Durable)
}

func TestACostLimitNeedsAPrice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.kept.unpriced = true
	limit := 1.0
	d := h.begin(batch.Options{Judge: "auto", MaxCost: &limit}, "")
	require.ErrorIs(t, d.Add(t.Context(), "a", 0, question("q"), "x"), batch.ErrNoPrice)
	d.Discard(t.Context())
}

func TestADryRunEstimatesAndKeepsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.kept.grades = map[string]bool{"kept": true}
	d, err := h.service.DryRun(tenant, batch.Options{})
	require.NoError(t, err)
	for i, item := range [][2]string{{"q", "ten chars!"}, {"q", "twelve chars"}, {"r", "ten chars!"}, {"q", "ten chars!"}, {"q", "kept"}, {"q", "kept"}} {
		require.NoError(t, d.Add(t.Context(), itemID(i), i, question(item[0]), item[1]))
	}
	var again *batch.DuplicateError
	require.ErrorAs(t, d.Add(t.Context(), itemID(0), 9, question("q"), "x"), &again)
	three := 3 * cost
	require.Equal(t, batch.Estimate{Items: 6, Distinct: 4, Cached: 2,
		Usage: judge.Usage{Calls: 3, PromptTokens: 32, CachedTokens: 2, CostUSD: &three}}, d.Estimate())
	_, _, err = d.Commit(t.Context(), "")
	require.Error(t, err)
	require.Zero(t, h.store.Calls("Stage")+h.store.Calls("Commit"))
}

func TestPurgingErasesTheGradesToo(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(2, h.worker())
		defer stop()
		h.grader.play = func(ctx context.Context, a string) error {
			if a == "answer 3" {
				return takes(time.Hour)(ctx, a)
			}
			return nil
		}
		b := h.submit(batch.Options{Judge: "model"}, answers(5)...)
		h.until(b.Key, time.Minute, func(b *batch.Batch) bool { return b.Graded == 4 })
		var want []grading.Key
		for _, r := range h.results(b.Key) {
			want = append(want, grading.Key{Tenant: tenant, ID: r.GradeID})
		}
		require.NoError(h, h.service.Purge(h.Context(), b.Key), "one that still runs is cancelled")
		require.ElementsMatch(h, want, h.kept.gone())
		_, err := h.service.Get(h.Context(), b.Key)
		require.ErrorIs(h, err, batch.ErrNotFound)
		require.ErrorIs(h, h.service.Purge(h.Context(), b.Key), batch.ErrNotFound)
	})
}

// An answer that is judged while its batch is purged leaves no grade behind.
func TestAGradeThatComesTooLateIsForgotten(t *testing.T) {
	for name, late := range map[string]time.Duration{
		"before the worker has noticed": 500 * time.Millisecond,
		"as the worker notices":         2500 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.grader.play = takes(time.Second + late)
				stop := h.serve(2, h.worker(func(c *batch.WorkerConfig) { c.Forget = h.kept.Forget }))
				defer stop()
				b := h.submit(batch.Options{Judge: "lexical"}, answers(3)...)
				pass(time.Second)
				require.NoError(h, h.service.Purge(h.Context(), b.Key))
				require.Empty(h, h.kept.gone())
				pass(10 * time.Second)
				require.Len(h, h.kept.gone(), h.grader.finished())
			})
		})
	}
}
