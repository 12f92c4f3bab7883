package lexical

import (
	"bufio"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/text"
)

// wordnetFolder makes TestGenerateSynonyms rewrite data/synonyms.txt from the
// database files of WordNet 3.0 (Debian's wordnet-base has them):
//
//	go test ./internal/judge/lexical -run GenerateSynonyms -wordnet /usr/share/wordnet
var wordnetFolder = flag.String("wordnet", "", "folder of WordNet 3.0: rewrite data/synonyms.txt from it")

// usualSenses is how many senses of a word count: the most frequent ones as
// noun, as verb, as adjective and as adverb. Of rarer ones a reader thinks only
// where the context asks for them.
const usualSenses = 2

// TestGenerateSynonyms reduces WordNet to classes of stems. Without the flag it
// checks the shape of the list in place.
func TestGenerateSynonyms(t *testing.T) {
	if *wordnetFolder == "" {
		require.Greater(t, strings.Count(synonymText, "\n"), 5000)
		require.Less(t, len(synonymText), 300<<10)
		return
	}
	usual := map[string]map[string]bool{} // synset -> stems that mean it as a usual sense
	for _, pos := range []string{"noun", "verb", "adj", "adv"} {
		wordnetLines(t, "index."+pos, func(f []string) {
			// lemma pos synsets pointers [symbols] senses tagged [offsets]
			n, err := strconv.Atoi(f[2])
			require.NoError(t, err)
			stem := wordStem(f[0])
			if _, known := frequencies().find(stem); !known {
				return
			}
			for _, offset := range f[len(f)-n:][:min(n, usualSenses)] {
				id := pos + offset
				if usual[id] == nil {
					usual[id] = map[string]bool{}
				}
				usual[id][stem] = true
			}
		})
	}
	classes, together := map[string]bool{}, map[[2]string]bool{}
	for _, meaning := range usual {
		stems := slices.Sorted(maps.Keys(meaning))
		if len(stems) > 1 {
			classes[strings.Join(stems, " ")] = true
		}
		for _, a := range stems {
			for _, b := range stems {
				together[[2]string{a, b}] = true
			}
		}
	}
	// What is derived from a word: "length" from "long".
	words := map[string][]string{} // synset -> stems in the order of its words
	derived := map[string][][2]string{}
	names := map[string]string{"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
	for _, pos := range []string{"noun", "verb", "adj", "adv"} {
		wordnetLines(t, "data."+pos, func(f []string) {
			// offset file type words [word id] pointers [symbol offset type source/target]
			n, err := strconv.ParseInt(f[3], 16, 0)
			require.NoError(t, err)
			id := pos + f[0]
			for i := range n {
				words[id] = append(words[id], wordStem(f[4+2*i]))
			}
			count, err := strconv.Atoi(f[4+2*n])
			require.NoError(t, err)
			for p := range slices.Chunk(f[5+2*n:][:4*count], 4) {
				if p[0] == "+" {
					derived[id] = append(derived[id], [2]string{names[p[2]] + p[1], p[3]})
				}
			}
		})
	}
	for id, links := range derived {
		for _, l := range links {
			source, err := strconv.ParseInt(l[1][:2], 16, 0)
			require.NoError(t, err)
			target, err := strconv.ParseInt(l[1][2:], 16, 0)
			require.NoError(t, err)
			a, b := words[id][source-1], words[l[0]][target-1]
			if usual[id][a] && usual[l[0]][b] && a < b && !together[[2]string{a, b}] {
				classes[a+" "+b] = true
			}
		}
	}
	require.NoError(t, os.WriteFile("data/synonyms.txt", []byte(strings.Join(slices.Sorted(maps.Keys(classes)), "\n")+"\n"), 0o644))
}

// wordStem is the stem of a single plain word; "" for anything else.
func wordStem(lemma string) string {
	doc := text.Parse(lemma)
	if len(doc.Tokens) != 1 || doc.Tokens[0].Class != text.Content || !plainStem(doc.Tokens[0].Stem) {
		return ""
	}
	return doc.Tokens[0].Stem
}

// wordnetLines visits the lines of a database file, but for its licence.
func wordnetLines(t *testing.T, name string, visit func(fields []string)) {
	t.Helper()
	file, err := os.Open(filepath.Join(*wordnetFolder, name))
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "  ") {
			visit(strings.Fields(lines.Text()))
		}
	}
	require.NoError(t, lines.Err())
}
