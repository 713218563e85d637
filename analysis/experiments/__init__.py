"""The paper's figures and tables anew: what is missing is trained, what is there is drawn."""
