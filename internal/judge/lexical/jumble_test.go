package lexical

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
)

func TestTheRubricsWordsPayOnlyInAnOrder(t *testing.T) {
	t.Parallel()
	statement := "The lake freezes from the top because the ice is lighter than the water under it"
	q := inline(t, "Why do fish survive a hard winter?", statement)
	credit := func(answer string) int { return finding(t, q, "c1", answer).Credit }
	require.Equal(t, judge.FullCredit, credit(statement+"."))
	require.Equal(t, judge.FullCredit, credit("Because the ice is lighter than the water, the lake freezes from the top."))
	require.Zero(t, credit("lake, freezes, top, ice, lighter, water"))
	words := strings.Fields(strings.ToLower(statement))
	random := rand.New(rand.NewPCG(1, 2))
	paid := 0
	for range 50 {
		random.Shuffle(len(words), func(i, k int) { words[i], words[k] = words[k], words[i] })
		if credit(strings.Join(words, " ")+".") > 0 {
			paid++
		}
	}
	require.LessOrEqual(t, paid, 15) // by chance some are in half an order
}

func TestALongTextHasTheWordsForManySentences(t *testing.T) {
	t.Parallel()
	q := inline(t, "How does a heat pump warm a house?", "A fluid boils outside in the cold because it is under little pressure. "+
		"A compressor squeezes the gas, so that it is hotter than the house. It condenses inside and gives off its heat, "+
		"and then a valve lets the pressure go, so that the fluid is cold again and the round begins from the start.")
	f := finding(t, q, "c1", "The fluid gives its heat off inside the house. Outside, the cold fluid boils again.")
	require.True(t, f.Verdict.Credited())
}
