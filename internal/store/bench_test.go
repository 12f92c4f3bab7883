package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// A hit in memory: under a microsecond, nothing allocated.
func BenchmarkMemoryHit(b *testing.B) {
	s := benchStore(b, store.Config{MemoryOnly: true})
	k := fill(b, s, 1)[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, source, err := s.Fetch(b.Context(), k, false, never); err != nil || source != grading.Hit {
			b.Fatal(source, err)
		}
	}
}

func BenchmarkMemoryHitParallel(b *testing.B) {
	s := benchStore(b, store.Config{MemoryOnly: true})
	keys := fill(b, s, 64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, source, err := s.Fetch(b.Context(), keys[i%len(keys)], false, never); err != nil || source != grading.Hit {
				b.Fatal(source, err)
			}
		}
	})
}

// A miss in an empty embedded store: what keeping a grade costs beside making it.
func BenchmarkMiss(b *testing.B) {
	s := benchStore(b, store.Config{MemoryOnly: true})
	r := benchRecord(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := grading.Key{Tenant: "acme", ID: fmt.Sprint("gr_", i)}
		if _, _, err := s.Fetch(b.Context(), k, false, func(context.Context) (*grading.Record, error) { return r, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// A hit in Redis over TCP against one bare GET of the same bytes through a
// client with default settings, in turns within one run. x/GET is the ratio of
// the medians of the turns.
func BenchmarkRedisHit(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { redisHit(b, callers) })
	}
}

func redisHit(b *testing.B, callers int) {
	const keys, turn = 256, 2000
	url, prefix := storetest.Shared(b).TCPURL(), storetest.Prefix(b)
	s := benchStore(b, store.Config{URL: url, Prefix: prefix, MemoryBytes: 1})
	ks := fill(b, s, keys)
	options, err := redis.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	options.PoolSize = 64
	c := redis.NewClient(options)
	defer func() { _ = c.Close() }()

	hit := func(ctx context.Context, i int) error {
		_, source, err := s.Fetch(ctx, ks[i%keys], false, never)
		if source != grading.Hit {
			return errors.Join(err, errors.New("not a hit"))
		}
		return err
	}
	get := func(ctx context.Context, i int) error {
		_, err := c.Get(ctx, prefix+"grade:"+ks[i%keys].Tenant+":"+ks[i%keys].ID).Bytes()
		return err
	}
	// race runs n operations on all callers and returns the time of one.
	race := func(n int, op func(context.Context, int) error) float64 {
		failed := make(chan error, callers)
		begun := time.Now()
		for caller := range callers {
			go func() {
				for i := range n / callers {
					if err := op(b.Context(), caller*7+i); err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
		}
		for range callers {
			if err := <-failed; err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(begun).Nanoseconds()) / float64(n)
	}
	race(turn, hit)
	race(turn, get)
	var hits, gets []float64
	for b.Loop() {
		hits = append(hits, race(turn, hit))
		gets = append(gets, race(turn, get))
	}
	slices.Sort(hits)
	slices.Sort(gets)
	h, g := hits[len(hits)/2], gets[len(gets)/2]
	b.ReportMetric(0, "ns/op") // of a turn: says nothing
	b.ReportMetric(h, "hit-ns")
	b.ReportMetric(g, "GET-ns")
	b.ReportMetric(h/g, "x/GET")
}

func benchStore(b *testing.B, cfg store.Config) *store.Store {
	cfg.Logger = slog.New(slog.DiscardHandler)
	return open(b, cfg)
}

func benchRecord(b *testing.B) *grading.Record {
	b.Helper()
	r, err := grading.NewRecord(grading.Grade{Feedback: grading.Feedback{Summary: strings.Repeat(rand.Text(), 150)}}, true, nil)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// fill keeps n grades of some four kilobytes.
func fill(b *testing.B, s *store.Store, n int) []grading.Key {
	b.Helper()
	var keys []grading.Key
	for i := range n {
		k := grading.Key{Tenant: "acme", ID: fmt.Sprintf("gr_%032d", i)}
		r := benchRecord(b)
		if _, _, err := s.Fetch(b.Context(), k, false, func(context.Context) (*grading.Record, error) { return r, nil }); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func never(context.Context) (*grading.Record, error) { return nil, errors.New("not kept") }
