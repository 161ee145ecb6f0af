update a set b = 3;
