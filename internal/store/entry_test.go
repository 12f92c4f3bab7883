package store

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

func TestAnEntryReadsBackAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		wire := rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "wire")
		count := func(name string) int { return rapid.IntRange(0, math.MaxUint32).Draw(t, name) }
		spent := judge.Usage{Calls: count("calls"), PromptTokens: count("prompt"), CachedTokens: count("cached"), CompletionTokens: count("completion")}
		if rapid.Bool().Draw(t, "priced") {
			price := rapid.Float64Range(0, 1e6).Draw(t, "price")
			spent.CostUSD = &price
		}
		name := rapid.String().Draw(t, "name")
		expires := time.UnixMilli(rapid.Int64Range(0, 1<<50).Draw(t, "expires"))
		b := encodeEntry(name, grading.RestoreRecord(wire, spent, nil), expires)
		r, until, ok := decodeEntry(name, b)
		require.True(t, ok)
		require.Equal(t, wire, r.JSON())
		require.Equal(t, spent, r.Spent)
		require.True(t, expires.Equal(until))
		require.True(t, r.Keep)

		// Any change to any byte is noticed; so is any other name.
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		_, _, ok = decodeEntry(name, b)
		require.False(t, ok)
		b = encodeEntry(name+"x", grading.RestoreRecord(wire, spent, nil), expires)
		_, _, ok = decodeEntry(name, b)
		require.False(t, ok)
	})
}

func TestRepliesReadBackAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		replies := rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "replies")
		require.Equal(t, replies, decodeReplies("k", encodeReplies("k", replies)))
		require.Nil(t, decodeReplies("other", encodeReplies("k", replies)))
	})
	require.Nil(t, encodeReplies("k", nil))
	require.Nil(t, decodeReplies("k", nil))
}

// Whatever is accepted was written by encodeEntry, to the byte.
func FuzzDecodeEntry(f *testing.F) {
	good := encodeEntry("k", grading.RestoreRecord([]byte(`{"id":"gr_a"}`), judge.Usage{Calls: 1}, nil), time.UnixMilli(1e12))
	f.Add("k", good)
	f.Add("k", good[:len(good)-1])
	f.Add("other", good)
	f.Add("k", []byte(nil))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		r, expires, ok := decodeEntry(name, bytes.Clone(b))
		if !ok {
			return
		}
		if again := encodeEntry(name, r, expires); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, which would be written as %x", b, again)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(event{"o", eventKept, grading.Key{Tenant: "a", ID: "gr_b"}}.encode())
	f.Fuzz(func(t *testing.T, s string) {
		if e, ok := decodeEvent(s); ok && e.encode() != s {
			t.Fatalf("%q became %q", s, e.encode())
		}
	})
}

func TestNamesKeepTenantsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOf(rapid.SampledFrom([]rune("ab:%3A25")))
		a := grading.Key{Tenant: part.Draw(t, "tenant"), ID: part.Draw(t, "id")}
		b := grading.Key{Tenant: part.Draw(t, "other tenant"), ID: part.Draw(t, "other id")}
		require.Equal(t, a == b, keyspace("p:").grade(a) == keyspace("p:").grade(b))
	})
}

// The bound counts estimates; this holds them against what the heap says, with
// every grade decoded, as those that were looked into are.
func TestTheMemoryCacheStaysWithinItsBound(t *testing.T) {
	const bound = 4 << 20
	m, err := newMemory(bound, time.Now)
	require.NoError(t, err)
	defer m.close()
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	for i := range 2_000 {
		r := typicalRecord(t, i)
		k := grading.Key{Tenant: "acme", ID: strings.Repeat("x", 30) + string(rune(i))}
		m.set(k, r, time.Now().Add(time.Hour))
		if kept := m.get(k); kept != nil {
			_, err := kept.Grade()
			require.NoError(t, err)
		}
	}
	m.cache.CleanUp()
	grown := heap() - before
	t.Logf("%d entries, %.1f MiB estimated, %.1f MiB on the heap", m.cache.EstimatedSize(), float64(m.cache.WeightedSize())/(1<<20), float64(grown)/(1<<20))
	require.LessOrEqual(t, m.cache.WeightedSize(), uint64(bound))
	require.Greater(t, m.cache.WeightedSize(), uint64(bound/2), "it is used")
	require.Less(t, grown, uint64(bound*5/4))
	runtime.KeepAlive(m)
}

func TestTheMemoryCacheTurnsAwayWhatIsLargerThanItself(t *testing.T) {
	t.Parallel()
	m, err := newMemory(4<<10, time.Now)
	require.NoError(t, err)
	defer m.close()
	k, later := grading.Key{Tenant: "acme", ID: "gr_a"}, time.Now().Add(time.Hour)
	m.set(k, grading.RestoreRecord([]byte("small"), judge.Usage{}, nil), later)
	require.NotNil(t, m.get(k))
	m.set(k, grading.RestoreRecord(make([]byte, 10<<10), judge.Usage{}, nil), later)
	require.Nil(t, m.get(k), "neither the new one nor the one it replaced")
}

// typicalRecord is a grade of some four kilobytes.
func typicalRecord(t testing.TB, i int) *grading.Record {
	t.Helper()
	g := grading.Grade{QuestionID: "set/question", Feedback: grading.Feedback{Summary: strings.Repeat("words ", 20) + string(rune(i))}}
	for range 8 {
		g.Criteria = append(g.Criteria, grading.CriterionGrade{
			ID: "criterion", Statement: strings.Repeat("statement ", 10), Kind: "core", Weight: 12.5, Verdict: "met", Credit: 1,
			Comment: strings.Repeat("comment ", 12),
		})
		g.Feedback.Improvements = append(g.Feedback.Improvements, grading.Improvement{CriterionID: "criterion", Text: strings.Repeat("text ", 20), Points: 10})
	}
	r, err := grading.NewRecord(g, true, nil)
	require.NoError(t, err)
	return r
}
