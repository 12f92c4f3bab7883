package batch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
)

// Promises P1 and P2: workers die, sleep and are told to stop, the store and the
// queue come and go, the model fails; each item has one end, and no result that
// was seen once changes.
func TestTheLedgerIsBalanced(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			bubble(t, func(h *house) { ledger(h, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func ledger(h *house, chance *rand.Rand) {
	var mu sync.Mutex
	one := func(n int) bool { mu.Lock(); defer mu.Unlock(); return chance.IntN(n) == 0 }
	upTo := func(n int) int { mu.Lock(); defer mu.Unlock(); return chance.IntN(n) }
	var calm atomic.Bool
	h.grader.play = func(ctx context.Context, a string) error {
		if err := takes(time.Duration(upTo(4000))*time.Millisecond)(ctx, a); err != nil {
			return err
		}
		if calm.Load() {
			return nil
		}
		switch {
		case one(12):
			return errOutage
		case one(30):
			return limited(time.Duration(upTo(30)) * time.Second)
		case one(300):
			return errQuota
		case one(60):
			return errTooLong
		}
		return nil
	}
	h.store.FailWith(func(string) error {
		if !calm.Load() && one(50) {
			return batchtest.ErrDown
		}
		return nil
	})
	ctx, cancel := context.WithCancel(h.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { h.keeper("p").Run(ctx) })
	for i := range 3 { // workers that come and go
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				process := &mortal{Store: h.store}
				w := h.worker(func(c *batch.WorkerConfig) { c.Store, c.Name = process, strconv.Itoa(i)+"/"+strconv.Itoa(n) })
				life, end := context.WithCancel(ctx)
				if !calm.Load() {
					at := time.Duration(5+upTo(60)) * time.Second
					dies := one(2)
					time.AfterFunc(at, func() {
						process.dead.Store(dies)
						w.Drain()
						if dies {
							end()
						} else {
							time.AfterFunc(10*time.Second, end)
						}
					})
				}
				h.queue.Serve(life, 3, w.Handle)
				end()
			}
		})
	}
	var keys []batch.Key
	for _, n := range []int{1, 17, 120} {
		var b *batch.Batch
		for b == nil { // a submitter tries again
			d, err := h.service.Begin(h.Context(), tenant, batch.Options{Judge: "model"}, "")
			require.NoError(h, err)
			for i := 0; i < n && err == nil; i++ {
				err = d.Add(h.Context(), itemID(i), i, question("q"+strconv.Itoa(i%3)), "answer "+strconv.Itoa(i/2))
			}
			if err == nil {
				b, _, err = d.Commit(h.Context(), "")
			}
			if err != nil {
				require.ErrorIs(h, err, batchtest.ErrDown)
				d.Discard(h.Context())
			}
		}
		keys = append(keys, b.Key)
	}
	seen := map[batch.Key]map[int]batch.Result{}
	check := func() (over int) {
		for _, key := range keys {
			var b *batch.Batch
			err := batchtest.ErrDown
			for errors.Is(err, batchtest.ErrDown) {
				b, err = h.store.Get(h.Context(), key)
			}
			require.NoError(h, err)
			require.Equal(h, b.Total, b.Graded+b.NeedsReview+b.Failed+b.Cancelled+b.Pending())
			if b.Status.Over() {
				over++
			}
			if seen[key] == nil {
				seen[key] = map[int]batch.Result{}
			}
			for r, err := range h.store.Results(h.Context(), key, 0) {
				if err != nil {
					require.ErrorIs(h, err, batchtest.ErrDown)
					break
				}
				if before, found := seen[key][r.Index]; found {
					require.Equal(h, before, r, "a result that was seen does not change")
				}
				seen[key][r.Index] = r
			}
		}
		return over
	}
	for range 300 {
		pass(2 * time.Second)
		check()
	}
	calm.Store(true)
	for i := 0; check() < len(keys); i++ {
		require.Less(h, i, 600, "everything ends once the faults do")
		pass(time.Second)
	}
	for i, n := range []int{1, 17, 120} {
		require.Len(h, h.results(keys[i]), n)
	}
}
