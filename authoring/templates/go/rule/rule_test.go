package rule

import "testing"

func TestSmallTotalsAreScored(t *testing.T) {
	if isFine, score := Check(250, 1000); !isFine || score != 0.25 {
		t.Fatalf("it is fine: %v, its score is %v", isFine, score)
	}
}

func TestLargeTotalsAreOverTheLimit(t *testing.T) {
	if isFine, _ := Check(1000.01, 1000); isFine {
		t.Fatal("it is fine")
	}
}
