package batch_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// mortal is the store as a process sees it that may die: from then on nothing
// it does has any effect.
type mortal struct {
	*batchtest.Store
	dead atomic.Bool
}

func (m *mortal) alive() error {
	if m.dead.Load() {
		return errors.New("dead")
	}
	return nil
}

func (m *mortal) Renew(ctx context.Context, c *batch.Claim) error {
	return errors.Join(m.alive(), m.unless(func() error { return m.Store.Renew(ctx, c) }))
}

func (m *mortal) Suspect(ctx context.Context, c *batch.Claim, i int) error {
	return errors.Join(m.alive(), m.unless(func() error { return m.Store.Suspect(ctx, c, i) }))
}

func (m *mortal) Complete(ctx context.Context, c *batch.Claim, r []batch.Result, done bool) (p *batch.Progress, err error) {
	err = errors.Join(m.alive(), m.unless(func() error { p, err = m.Store.Complete(ctx, c, r, done); return err }))
	return p, err
}

func (m *mortal) Claim(ctx context.Context, ref batch.Ref, w string) (c *batch.Claim, err error) {
	err = m.unless(func() error { c, err = m.Store.Claim(ctx, ref, w); return err })
	if c == nil && err == nil {
		err = errors.New("dead")
	}
	return c, err
}

func (m *mortal) unless(f func() error) error {
	if m.dead.Load() {
		return nil
	}
	return f()
}

// Fault 3, promise P4: a worker dies in the middle of a call; its items run
// again within 20 seconds, and the reader sees one result each.
func TestTheChunksOfADeadWorkerRunAgainSoon(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(time.Hour)
		process := &mortal{Store: h.store}
		doomed := h.worker(func(c *batch.WorkerConfig) { c.Store, c.Name = process, "doomed" })
		ctx, cancel := context.WithCancel(h.Context())
		defer cancel()
		go h.queue.Serve(ctx, 4, doomed.Handle)
		go h.keeper("doomed").Run(ctx) // it leads, too
		b := h.submit(batch.Options{Judge: "model"}, answers(40)...)
		pass(31 * time.Second)
		process.dead.Store(true)
		cancel()
		died := time.Now()

		h.grader.become(nil)
		stop := h.serve(4, h.worker())
		defer stop()
		b = h.wait(b.Key, 20*time.Second)
		require.Less(h, time.Since(died), 20*time.Second)
		require.Equal(h, []int{40, 0}, []int{b.Graded, b.Failed})
		require.Len(h, h.results(b.Key), 40)
	})
}

// Fault 3 again: it dies before it has said that the chunks are its own.
func TestTheChunksOfAWorkerThatDiedBeforeItClaimedThemRunAgainSoon(t *testing.T) {
	bubble(t, func(h *house) {
		ctx, cancel := context.WithCancel(h.Context())
		defer cancel()
		go h.queue.Serve(ctx, 3, func(ctx context.Context, _ batch.Ref) error {
			<-ctx.Done()
			return nil
		})
		leading, die := context.WithCancel(ctx)
		go h.keeper("doomed").Run(leading)
		b := h.submit(batch.Options{Judge: "model"}, answers(40)...)
		pass(time.Millisecond)
		require.Zero(h, h.queue.Waiting())
		die()

		stop := h.serve(4, h.worker())
		defer stop()
		require.Equal(h, 40, h.wait(b.Key, 20*time.Second).Graded)
		require.Equal(h, 40, h.grader.calls())
		require.Len(h, h.queue.Given(), 6, "each was handed out once more")
	})
}

// Work that a living worker has claimed is not taken for work of a dead one.
func TestWorkThatTakesLongIsNotHandedOutAgain(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(10 * time.Minute)
		stop := h.serve(4, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: "model"}, answers(40)...)
		require.Equal(h, 40, h.wait(b.Key, time.Hour).Graded)
		require.Len(h, h.queue.Given(), 3)
	})
}

// Fault 4, promise P6: what is done makes no call when it is brought again.
func TestWorkThatIsBroughtAgainIsDone(t *testing.T) {
	bubble(t, func(h *house) {
		w := h.worker()
		b := h.submit(batch.Options{Judge: "model"}, answers(20)...)
		refs := h.queue.Given()
		require.Len(h, refs, 2)
		for range 3 {
			for _, ref := range refs {
				require.NoError(h, w.Handle(h.Context(), ref))
			}
		}
		require.Equal(h, batch.Completed, h.get(b.Key).Status)
		require.Equal(h, 20, h.grader.calls())
	})
}

// Fault 5: an answer that brings down whoever reads it fails after it has done
// so three times alone, and the others are graded.
func TestAnAnswerThatKillsWorkersIsFound(t *testing.T) {
	bubble(t, func(h *house) {
		deaths := 0
		stop := h.serve(0) // a keeper alone
		defer stop()
		b := h.submit(batch.Options{Judge: "model"}, append(answers(10), "poison", "poison")...)
		for ; !h.get(b.Key).Status.Over(); deaths++ {
			require.Less(h, deaths, 10)
			process := &mortal{Store: h.store}
			ctx, cancel := context.WithCancel(h.Context())
			h.grader.become(func(ctx context.Context, a string) error {
				if a == "poison" {
					process.dead.Store(true)
					cancel()
				}
				return ctx.Err()
			})
			w := h.worker(func(c *batch.WorkerConfig) { c.Store = process })
			watch := context.AfterFunc(h.Context(), cancel)
			go func() {
				h.until(b.Key, time.Hour, func(b *batch.Batch) bool { return b.Status.Over() || ctx.Err() != nil })
				cancel()
			}()
			h.queue.Serve(ctx, 1, w.Handle)
			watch()
			cancel()
		}
		require.Equal(h, 1+batch.MaxCrashes, deaths-1, "once among others, then alone; the last worker lives")
		got := h.get(b.Key)
		require.Equal(h, []int{10, 2}, []int{got.Graded, got.Failed})
		require.Equal(h, batch.ReasonWorkerCrash, h.results(b.Key)[10].Reason)
		require.Equal(h, batch.ReasonWorkerCrash, h.results(b.Key)[11].Reason)
	})
}

// Faults 6, 8 and 12: the store is away for a while; what was paid for meanwhile
// is kept and nothing is graded twice.
func TestResultsOutliveAnAbsenceOfTheStore(t *testing.T) {
	for _, away := range []time.Duration{3 * time.Second, 8 * time.Second, 15 * time.Second, 25 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			bubble(t, func(h *house) {
				h.grader.play = takes(5 * time.Second)
				stop := h.serve(2, h.worker())
				defer stop()
				b := h.submit(batch.Options{Judge: "model"}, answers(64)...)
				pass(4 * time.Second)
				h.store.FailWith(func(string) error { return batchtest.ErrDown })
				pass(away)
				h.store.FailWith(func(string) error { return nil })
				b = h.wait(b.Key, 3*time.Minute)
				require.Equal(h, 64, b.Graded)
				require.Equal(h, 64, h.grader.calls(), "no answer is paid for twice")
			})
		})
	}
}

func TestWhileTheStoreIsAwayNothingIsBegun(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(context.Context, string) error {
			if h.grader.calls() == 1 {
				return limited(batch.LeaseTime)
			}
			return nil
		}
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: "model"}, "a", "b")
		pass(time.Second)
		h.store.FailWith(func(string) error { return batchtest.ErrDown })
		pass(22 * time.Second)
		require.Equal(h, 1, h.grader.calls(), "the claim may have gone to another")
		h.store.FailWith(func(string) error { return nil })
		require.Equal(h, 2, h.wait(b.Key, 10*time.Second).Graded)
	})
}

// After the store was away all leases have run out, of the living as well.
func TestAKeeperWaitsForTheLivingWhenTheStoreIsBack(t *testing.T) {
	bubble(t, func(h *house) {
		b := h.submit(batch.Options{Judge: "model"}, "a")
		claim, err := h.store.Claim(h.Context(), h.queue.Given()[0], "living")
		require.NoError(h, err)
		stop := h.serve(0)
		defer stop()
		pass(time.Second)
		h.store.FailWith(func(string) error { return batchtest.ErrDown })
		pass(30 * time.Second)
		h.store.FailWith(func(string) error { return nil })
		pass(5 * time.Second)
		require.NoError(h, h.store.Renew(h.Context(), claim), "it had time to renew")
		pass(20 * time.Second)
		require.ErrorIs(h, h.store.Renew(h.Context(), claim), batch.ErrLost, "and then no more")
		require.Equal(h, 1, h.get(b.Key).Pending())
	})
}

// A process that is cut off while the store is away has some seconds left.
func TestTheLastResultsOfAWorkerWaitForTheStore(t *testing.T) {
	bubble(t, func(h *house) {
		b := h.submit(batch.Options{Judge: "lexical"}, answers(3)...)
		h.store.FailWith(func(method string) error {
			if method == "Complete" {
				return batchtest.ErrDown
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(h.Context(), time.Second)
		defer cancel()
		time.AfterFunc(2*time.Second, func() { h.store.FailWith(func(string) error { return nil }) })
		require.NoError(h, h.worker().Handle(ctx, h.queue.Given()[0]))
		require.Equal(h, 3, h.get(b.Key).Graded)

		h.submit(batch.Options{Judge: "lexical"}, answers(3)...)
		h.store.FailWith(func(method string) error {
			if method == "Complete" {
				return batchtest.ErrDown
			}
			return nil
		})
		ctx, cancel = context.WithTimeout(h.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(h, h.worker().Handle(ctx, h.queue.Given()[1]), batchtest.ErrDown)
		require.Less(h, time.Since(began), 6*time.Second, "but no more than some")
	})
}

// Faults 18 to 20: the queue forgets what it was given.
func TestWhatTheQueueHasLostIsHandedOutAgain(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(0)
		b := h.submit(batch.Options{Judge: "model"}, answers(40)...)
		h.queue.Lose()
		pass(time.Minute)
		require.Zero(h, h.queue.Waiting(), "it may only be late")
		pass(70 * time.Second)
		require.Equal(h, 3, h.queue.Waiting())
		stop()
		stop = h.serve(1, h.worker())
		defer stop()
		require.Equal(h, 40, h.wait(b.Key, time.Minute).Graded)
	})
}

func TestWhatLiesInTheQueueForLongIsLeftThere(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(0)
		defer stop()
		h.submit(batch.Options{Judge: "model"}, answers(40)...)
		pass(time.Hour)
		require.Equal(h, 3, h.queue.Waiting())
		require.Len(h, h.queue.Given(), 3)
		require.LessOrEqual(h, h.queue.Asked(), 3*31, "each is asked about every two minutes")
	})
}

// Faults 1 and 2: the process dies between accepting and enqueueing, or the
// queue is away.
func TestWhatWasNeverEnqueuedIs(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue.FailWith(batchtest.ErrDown)
		b := h.submit(batch.Options{Judge: "model"}, answers(40)...)
		require.Equal(h, batch.Queued, b.Status, "it is accepted all the same")
		stop := h.serve(2, h.worker())
		defer stop()
		pass(time.Minute)
		require.Equal(h, 40, h.get(b.Key).Pending())
		h.queue.FailWith(nil)
		require.Equal(h, 40, h.wait(b.Key, 20*time.Second).Graded)
	})
}

// Fault 54: a worker whose lease ran out, say because it was asleep, comes back
// when another has the chunk.
func TestAWorkerThatWasPassedOverKeepsNothing(t *testing.T) {
	bubble(t, func(h *house) {
		b := h.submit(batch.Options{Judge: "model"}, "a")
		ref := h.queue.Given()[0]
		asleep, err := h.store.Claim(h.Context(), ref, "asleep")
		require.NoError(h, err)
		stop := h.serve(1, h.worker())
		defer stop()
		h.wait(b.Key, 30*time.Second)
		before := h.results(b.Key)
		_, err = h.store.Complete(h.Context(), asleep, []batch.Result{{ID: itemID(0), Status: batch.RowFailed, Reason: "late"}}, true)
		require.ErrorIs(h, err, batch.ErrLost)
		require.Equal(h, before, h.results(b.Key))
	})
}

// Fault 58: what a newer version has frozen goes back, and is not failed.
func TestAQuestionOfANewerVersionIsLeftToOthers(t *testing.T) {
	bubble(t, func(h *house) {
		commit := func(id, question string) batch.Key {
			key := batch.Key{Tenant: tenant, ID: id}
			require.NoError(h, h.store.Stage(h.Context(), key, batch.Chunk{Question: []byte(question), Items: []batch.Item{{ID: "a", Answer: "b"}}}))
			_, err := h.store.Commit(h.Context(), batch.Batch{Key: key, Total: 1, Chunks: 1, Options: batch.Options{Judge: "model"}, Made: made}, nil, "")
			require.NoError(h, err)
			return key
		}
		key := commit("ba_newer", `{"version":99,"question":[]}`)
		broken := commit("ba_broken", `{"version":1,"question":`)
		stop := h.serve(1, h.worker())
		defer stop()
		require.Equal(h, batch.ReasonInternal, h.results(h.wait(broken, time.Minute).Key)[0].Reason)
		pass(10 * time.Minute)
		require.Equal(h, 1, h.get(key).Pending())
		require.Zero(h, h.grader.calls())
	})
}

// Fault 65: a batch keeps the questions it was accepted with.
func TestABatchKeepsItsQuestions(t *testing.T) {
	bubble(t, func(h *house) {
		var graded atomic.Pointer[rubric.Question]
		q := *question("kept")
		loaded, err := rubric.Inline(q)
		require.NoError(h, err)
		d, err := h.service.Begin(h.Context(), tenant, batch.Options{Judge: "model"}, "")
		require.NoError(h, err)
		require.NoError(h, d.Add(h.Context(), "a", 1, loaded, "an answer"))
		b, _, err := d.Commit(h.Context(), "")
		require.NoError(h, err)
		digest := loaded.Digest()
		loaded.Text = "changed" // as an edited rubric would
		w := h.worker(func(c *batch.WorkerConfig) { c.Grader = spy{h.grader, &graded} })
		stop := h.serve(1, w)
		defer stop()
		h.wait(b.Key, time.Minute)
		require.Equal(h, digest, graded.Load().Digest())
		require.Equal(h, "inline/kept", graded.Load().Ref)
		require.Equal(h, q.Text, graded.Load().Text)
	})
}

func TestABatchThatIsTooOldEnds(t *testing.T) {
	for name, c := range map[string]func(h *house) (stop func()){
		"nobody works":            func(h *house) func() { return h.serve(0) },
		"the model is down":       func(h *house) func() { h.grader.play = failing(errOutage); return h.serve(1, h.worker()) },
		"nobody pays":             func(h *house) func() { h.grader.play = failing(errQuota); return h.serve(1, h.worker()) },
		"the model never answers": func(h *house) func() { h.grader.play = failing(errSlow); return h.serve(1, h.worker()) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				stop := c(h)
				defer stop()
				b := h.submit(batch.Options{Judge: "model"}, answers(20)...)
				pass(batch.Deadline - time.Minute)
				require.Equal(h, 20, h.get(b.Key).Pending())
				b = h.wait(b.Key, 3*time.Minute)
				require.Equal(h, []int{20, 0}, []int{b.Failed, b.Graded})
				require.Equal(h, batch.Completed, b.Status)
				require.Equal(h, batch.ReasonExpired, h.results(b.Key)[7].Reason)
			})
		})
	}
}

func failing(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

// Fault 71: a panic in the keeper's loop is not its end.
func TestAKeeperOutlivesAPanic(t *testing.T) {
	bubble(t, func(h *house) {
		h.queue.FailWith(batchtest.ErrDown) // so that the keeper has to enqueue
		b := h.submit(batch.Options{Judge: "model"}, "a")
		h.queue.FailWith(nil)
		var panics atomic.Int32
		h.store.FailWith(func(method string) error {
			if method == "Active" && panics.Add(1) < 4 {
				panic("over the store")
			}
			return nil
		})
		stop := h.serve(1, h.worker())
		defer stop()
		h.wait(b.Key, time.Minute)
		require.GreaterOrEqual(h, panics.Load(), int32(4))
	})
}
