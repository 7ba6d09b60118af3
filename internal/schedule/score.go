package schedule

// SFS returns the share of the sum of singular values, given largest first,
// that lies outside the k largest: 1 - (s_1+...+s_k)/(s_1+...+s_r), eq. 5 of
// arXiv:2503.00572. It is high where information is spread over many directions
// and 0 where there is none.
func SFS(singular []float64, k int) float64 {
	top, all := 0.0, 0.0
	for i, v := range singular {
		if i < k {
			top += v
		}
		all += v
	}
	if all == 0 {
		return 0
	}
	return 1 - top/all
}

// Nuclear returns the sum of singular values, by which the authors' release
// compares modules when it is given no k.
func Nuclear(singular []float64) float64 {
	sum := 0.0
	for _, v := range singular {
		sum += v
	}
	return sum
}

// Score returns the configured score of a module's singular values.
func (s *Schedule) Score(singular []float64) float64 {
	if s.c.Score == ScoreNuclear {
		return Nuclear(singular)
	}
	return SFS(singular, s.c.SFSK)
}
