package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// An entry is a grade as Redis holds it. All numbers are little-endian.
//
//	 0  4  magic "GRDS"
//	 4  1  version of this layout
//	 5  1  flags: bit 0, a price is known
//	 6  2  zero
//	 8 32  SHA-256 over the key and everything that follows
//	40  8  when it expires, Unix milliseconds
//	48 16  calls, prompt, cached and completion tokens, 4 bytes each
//	64  8  price in US dollars, IEEE 754
//	72  …  the JSON a hit is answered with, verbatim
//
// The key is part of the checksum, so an entry copied under another key, or
// written with another prefix, is as foreign as a damaged one. The checksum
// finds accidents; it does not keep out somebody who can write to the Redis.
const (
	entryMagic   = "GRDS"
	entryVersion = 1
	entryHeader  = 72
	hasPrice     = 1

	// maxEntry bounds what is read for a hit. A grade of the longest answer
	// against the most criteria stays well below.
	maxEntry = 1 << 20
)

// encodeEntry lays a record out under its key.
func encodeEntry(name string, r *grading.Record, expires time.Time) []byte {
	b := make([]byte, entryHeader, entryHeader+len(r.JSON()))
	copy(b, entryMagic)
	b[4] = entryVersion
	if r.Spent.CostUSD != nil {
		b[5] = hasPrice
		binary.LittleEndian.PutUint64(b[64:], math.Float64bits(*r.Spent.CostUSD))
	}
	binary.LittleEndian.PutUint64(b[40:], uint64(expires.UnixMilli()))
	for i, n := range []int{r.Spent.Calls, r.Spent.PromptTokens, r.Spent.CachedTokens, r.Spent.CompletionTokens} {
		binary.LittleEndian.PutUint32(b[48+4*i:], uint32(min(max(n, 0), math.MaxUint32)))
	}
	b = append(b, r.JSON()...)
	sum := entrySum(name, b)
	copy(b[8:40], sum[:])
	return b
}

// decodeEntry reads what encodeEntry wrote under the same name. It reports
// false for anything else. The record shares b's memory.
func decodeEntry(name string, b []byte) (*grading.Record, time.Time, bool) {
	if len(b) <= entryHeader || len(b) > maxEntry || string(b[:4]) != entryMagic || b[4] != entryVersion {
		return nil, time.Time{}, false
	}
	if sum := entrySum(name, b); !bytes.Equal(sum[:], b[8:40]) {
		return nil, time.Time{}, false
	}
	count := func(i int) int { return int(binary.LittleEndian.Uint32(b[48+4*i:])) }
	spent := judge.Usage{Calls: count(0), PromptTokens: count(1), CachedTokens: count(2), CompletionTokens: count(3)}
	if b[5]&hasPrice != 0 {
		price := math.Float64frombits(binary.LittleEndian.Uint64(b[64:]))
		spent.CostUSD = &price
	}
	expires := time.UnixMilli(int64(binary.LittleEndian.Uint64(b[40:])))
	return grading.RestoreRecord(b[entryHeader:], spent, nil), expires, true
}

// entrySum covers the name, the header before the sum and all that follows it.
func entrySum(name string, b []byte) [sha256.Size]byte {
	h := sha256.New()
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], uint64(len(name)))
	copy(head[8:], b[:8])
	h.Write(head[:])
	h.Write([]byte(name))
	h.Write(b[40:])
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// encodeReplies lays raw replies out under their key: a checksum, then JSON.
// No replies are no bytes.
func encodeReplies(name string, replies []string) []byte {
	if len(replies) == 0 {
		return nil
	}
	text, err := json.Marshal(replies)
	if err != nil {
		return nil // strings always encode
	}
	sum := repliesSum(name, text)
	return append(sum[:], text...)
}

// decodeReplies reads what encodeReplies wrote; nil for anything else.
func decodeReplies(name string, b []byte) []string {
	if len(b) < sha256.Size {
		return nil
	}
	if sum := repliesSum(name, b[sha256.Size:]); !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil
	}
	var replies []string
	if json.Unmarshal(b[sha256.Size:], &replies) != nil {
		return nil
	}
	return replies
}

func repliesSum(name string, text []byte) [sha256.Size]byte {
	h := sha256.New()
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(name)))
	h.Write(length[:])
	h.Write([]byte(name))
	h.Write(text)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}
