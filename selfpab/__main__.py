"""python -m selfpab"""

from selfpab.cli import main

if __name__ == "__main__":
    main()
