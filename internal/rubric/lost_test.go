package rubric

import (
	"testing"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/stretchr/testify/require"
)

// The parser loses the third of three documents when the second is empty. Parse
// refuses such a file before; here it stands for faults not yet known.
func TestTextThatTheParserDropsIsFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"a: \"x y\"\nb: 1\n":                        0,
		"a: [x, 'y', 1, 2.5, true, ~]\nb: |\n  x\n": 0,
		"- 0\n---\n\n---\n  -\n0":                   1, // the third document
	} {
		src, faults := newSource("x.yaml", []byte(text))
		require.Empty(t, faults)
		tokens := lexer.Tokenize(text)
		file, err := parser.Parse(tokens, 0)
		require.NoError(t, err)
		root, fault := body(src, file)
		require.Nil(t, fault)
		require.Len(t, lostTokens(src, tokens, root), want, text)
	}
}
