package lexical

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// wordfreqFile makes TestGenerateFrequencies rewrite data/freq.txt:
//
//	pip download wordfreq==3.1.1 --no-deps && unzip wordfreq-*.whl
//	go test ./internal/judge/lexical -run GenerateFrequencies -wordfreq wordfreq/data/large_en.msgpack.gz
var wordfreqFile = flag.String("wordfreq", "", "wordfreq's large_en.msgpack.gz: rewrite data/freq.txt from it")

// frequencyStems is how many stems the table keeps, the most frequent ones.
const frequencyStems = 28000

// TestGenerateFrequencies reduces the word list to stems. Without the flag it
// checks the shape of the table in place.
func TestGenerateFrequencies(t *testing.T) {
	if *wordfreqFile == "" {
		require.Greater(t, strings.Count(freqText, "\n"), 20000)
		require.Less(t, len(freqText), 400<<10)
		return
	}
	file, err := os.Open(*wordfreqFile)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	unzipped, err := gzip.NewReader(file)
	require.NoError(t, err)
	var raw bytes.Buffer
	_, err = raw.ReadFrom(unzipped)
	require.NoError(t, err)

	// The list of index i holds the words of frequency 10^(-i/100).
	frequency := map[string]float64{}
	for centibels, words := range centibelLists(t, raw.Bytes()) {
		for _, w := range words {
			doc := text.Parse(w)
			if len(doc.Tokens) != 1 || doc.Tokens[0].Class == text.Number || !plainStem(doc.Tokens[0].Stem) {
				continue
			}
			frequency[doc.Tokens[0].Stem] += math.Pow(10, -float64(centibels)/100)
		}
	}
	stems := make([]string, 0, len(frequency))
	for s := range frequency {
		stems = append(stems, s)
	}
	slices.SortFunc(stems, func(a, b string) int {
		if frequency[a] != frequency[b] {
			return int(math.Copysign(1, frequency[b]-frequency[a]))
		}
		return strings.Compare(a, b)
	})
	stems = stems[:min(frequencyStems, len(stems))]
	slices.Sort(stems)
	var out strings.Builder
	for _, s := range stems {
		fmt.Fprintf(&out, "%s %d\n", s, int(math.Round(10*(math.Log10(frequency[s])+9))))
	}
	require.NoError(t, os.WriteFile("data/freq.txt", []byte(out.String()), 0o644))
}

// plainStem keeps words of ASCII letters, with digits behind.
func plainStem(s string) bool {
	if len(s) < 2 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// centibelLists reads the part of MessagePack that the file uses: an array
// whose first element is a header and whose others are arrays of strings.
func centibelLists(t *testing.T, raw []byte) [][]string {
	t.Helper()
	at := 0
	size := func(n int) int {
		v := 0
		for range n {
			v, at = v<<8|int(raw[at]), at+1
		}
		return v
	}
	var value func() any
	array := func(n int) any {
		list := make([]any, n)
		for i := range list {
			list[i] = value()
		}
		return list
	}
	str := func(n int) any {
		at += n
		return string(raw[at-n : at])
	}
	value = func() any {
		kind := raw[at]
		at++
		switch {
		case kind < 0x80:
			return int(kind)
		case kind < 0x90: // map
			for range 2 * int(kind&0x0f) {
				value()
			}
			return nil
		case kind < 0xa0:
			return array(int(kind & 0x0f))
		case kind < 0xc0:
			return str(int(kind & 0x1f))
		case kind >= 0xd9 && kind <= 0xdb:
			return str(size(1 << (kind - 0xd9)))
		case kind == 0xdc:
			return array(size(binary.Size(uint16(0))))
		case kind == 0xdd:
			return array(size(binary.Size(uint32(0))))
		}
		t.Fatalf("unexpected MessagePack type %#x at byte %d", kind, at-1)
		return nil
	}
	var lists [][]string
	for _, element := range value().([]any)[1:] {
		var words []string
		for _, w := range element.([]any) {
			words = append(words, w.(string))
		}
		lists = append(lists, words)
	}
	return lists
}

// bankFile makes TestGenerateBank rewrite data/bank.txt from a question set:
//
//	go test ./internal/judge/lexical -run GenerateBank -bank ../../../rubrics/lead-platform-engineer.yaml
//
// Raise bankVersion with it: every grade of the lexical judge depends on it.
var bankFile = flag.String("bank", "", "a question set: rewrite data/bank.txt from it")

func TestGenerateBank(t *testing.T) {
	if *bankFile == "" {
		require.NotEmpty(t, theBank().topics)
		return
	}
	raw, err := os.ReadFile(*bankFile)
	require.NoError(t, err)
	set, err := rubric.Parse(*bankFile, raw)
	require.NoError(t, err)
	var out strings.Builder
	line := func(kind, body string) {
		if body != "" {
			fmt.Fprintf(&out, "%s\t%s\n", kind, strings.Join(strings.Fields(body), " "))
		}
	}
	for _, q := range set.Questions {
		line("question", q.Text)
		line("guidance", q.Guidance)
		line("answer", q.SampleAnswer)
		for _, c := range q.Criteria {
			if c.Kind == rubric.Pitfall {
				continue // an answer is not helped by knowing them
			}
			statement := c.Statement
			if c.Signal != "" {
				statement = "[" + string(c.Signal) + "] " + statement
			}
			line("criterion", statement)
			for _, p := range c.Phrases {
				line("phrase", p)
			}
		}
	}
	require.NoError(t, os.WriteFile("data/bank.txt", []byte(out.String()), 0o644))
}
